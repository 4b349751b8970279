"""What is asked: the target, the way to it, and every list that probes go by. Data alone; nothing here does I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.doctor.lists import Lists
from gateway.egress.network import Via
from gateway.model.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host that calls go to.

    Attributes:
        provider: None for a host of no provider that we know.
        name: The provider's, as in rows; empty with ``provider`` None.
        path: What is asked there without a key, as ``/v1/models``.
        key: The credential to check, empty for none. Never shown.
        key_variable: Where the key comes from, as ``OPENAI_API_KEY``.
        organization: As ``OPENAI_ORG_ID`` says; empty for none.
        project: Likewise.
        model: One whose access is to be checked, empty for none.
        ca_file: To trust for this host alone, None for none.
        plain: It is called over plain HTTP.
    """

    host: str
    port: int = 443
    provider: Provider | None = None
    name: str = ""
    path: str = "/v1/models"
    key: str = field(default="", repr=False)
    key_variable: str = ""
    organization: str = field(default="", repr=False)
    project: str = field(default="", repr=False)
    model: str = ""
    ca_file: str | None = None
    plain: bool = False

    def __str__(self) -> str:
        """Give host and, where it is not the usual one, port."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run.

    Attributes:
        target: What it is all about.
        others: Hosts of other providers that are in use here: whether they work tells how far a trouble reaches.
        via: The company's proxy that calls to the target go through, None for straight.
        environ: The variables of whoever asks. Values may hold credentials: show names only.
        own: Our own listeners as ``(host, port)``, of a gateway that runs now; the first takes calls.
        state: The state directory, None when there is none.
        ca_file: From the settings: to trust besides the system's store.
        asked: Somebody asked for this run: third parties may be contacted as controls.
        chatgpt: Also what ChatGPT in browsers and desktop apps needs.
        flows: The latest rows of the log, newest first, as the page's API gives them; empty without a log.
        language: Of the texts.
    """

    target: Target
    others: tuple[Target, ...] = ()
    lists: Lists = field(default_factory=Lists)
    via: Via | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    own: tuple[tuple[str, int], ...] = ()
    state: Path | None = None
    ca_file: str | None = None
    asked: bool = True
    chatgpt: bool = False
    flows: tuple[Mapping[str, object], ...] = field(default=(), repr=False)
    language: str = "en"
