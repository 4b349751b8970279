"""What an app asked for, exactly as it came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]
"""Names lower-cased, values and order as on the wire, duplicates kept."""


class Origin(NamedTuple):
    """Where a request goes: scheme, lower-case host without brackets, port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Give the origin as in a URL; the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}.get(self.scheme)
        return f"{self.scheme}://{host}" + ("" if self.port == usual else f":{self.port}")


class Mode(StrEnum):
    """How the app reached us."""

    PROXY = "proxy"
    BASE_URL = "base_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of an app.

    Attributes:
        id: 26 characters, sortable by time, unique in this installation.
        arrived_at: Seconds since the epoch, UTC.
        arrived: Monotonic seconds.
        client: ``address:port`` of the app.
        origin: The host that the app asked for (before any configured override).
        target: Path and query, byte for byte.
        body: The bytes read so far: all of them when ``body_complete``, else the first part of a streamed upload.
        no_room: Why the listener has no room for its body, empty when it has; what came of the body is let go.
        signed_in: The app presented the listener's credential, which no web page knows.
        tenant: Whose credential that was.
        sni: The name that its TLS handshake asked for, where that is another one than the origin's; else empty.
    """

    id: str
    arrived_at: float
    arrived: float
    client: str
    mode: Mode
    method: str
    origin: Origin
    target: bytes
    headers: Headers
    body: bytes
    body_complete: bool = True
    signed_in: bool = False
    tenant: str = "default"
    no_room: str = ""
    sni: str = ""
    index: Mapping[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the headers once; of a repeated name the last value counts."""
        object.__setattr__(self, "index", dict(self.headers))

    @property
    def path(self) -> str:
        """The path without the query, as text; bytes outside ASCII stay visible as Latin-1."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: bytes) -> str | None:
        """Give a header's value as text (Latin-1), or None. ``name`` is lower case."""
        value = self.index.get(name)
        return None if value is None else value.decode("latin-1")
