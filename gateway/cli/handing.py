"""What ``whygate export`` and ``whygate bundle`` share: which calls, and what of this machine must not go with them."""

import getpass
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from gateway import files
from gateway.cli.known import providers
from gateway.cli.options import resolve_settings
from gateway.cli.readers import filter_of, one_of
from gateway.cli.screen import UserError
from gateway.identify.locate import Locator
from gateway.model.secret import STRUCK
from gateway.record.leaks import Known, Leak, secrets_of
from gateway.settings import ConfigError
from gateway.state import State, StateError

if TYPE_CHECKING:
    from gateway.cli.reading import Source
    from gateway.record.filter import FlowFilter

EXIT_NOTHING = 1
_LEAKS_SHOWN = 10
_KEY_LINE_CHARS = 40


class Here(NamedTuple):
    """What must not leave this machine.

    Attributes:
        home: The home directory.
        user: The user name; empty when nobody knows it.
        known: Secrets, word for word.
        proxy: Host and port of the company's proxy that the settings name, without user and password.
        faulty_settings: How many problems the settings have.
    """

    home: str
    user: str
    known: tuple[Known, ...]
    proxy: str = ""
    faulty_settings: int = 0


class Asked(NamedTuple):
    """Which calls: those with an id, else those that fit, at most so many."""

    ids: Sequence[str]
    wanted: "FlowFilter"
    limit: int


def here(state: State, config: Path | None) -> Here:
    """Look around. Settings that cannot be read stop nothing: they may be what is to be handed over."""
    known, home, user, proxy, faulty = [*secrets_of(os.environ), *_of_state(state)], "", "", "", 0
    with suppress(RuntimeError):
        home = str(Path.home())
    with suppress(OSError, KeyError):
        user = getpass.getuser()
    try:
        chosen = resolve_settings(config).settings.network.proxy
    except ConfigError as exc:
        chosen, faulty = None, len(exc.problems)
    if chosen is not None and (text := chosen.get_secret_value()) != "none":
        parts = urlsplit(text)
        proxy = parts.netloc.rpartition("@")[2]
        if parts.password:
            known.append(Known("password of the company's proxy", unquote(parts.password).encode()))
    return Here(home, user, tuple(known), proxy, faulty)


def wanted(ids: Sequence[str] | None, filters: Mapping[str, str]) -> "FlowFilter":
    """Give the filter that options ask for.

    Raises:
        UserError: One of them means nothing, or there are ids as well.
    """
    if ids and any(filters.values()):
        raise UserError("Both ids and filters", "", "Give one of them: ids name their calls already.")
    return filter_of(**filters)


def chosen(source: "Source", asked: Asked) -> list[dict[str, Any]]:
    """Give the calls that were asked for, newest first, with their bodies.

    Raises:
        UserError: There is none, or none with such an id.
    """
    if asked.ids:
        found = {row["id"]: row for row in (one_of(source, flow_id) for flow_id in asked.ids)}
        return sorted(found.values(), key=lambda row: -int(row["seq"]))
    rows = source.newest(asked.wanted, asked.limit)
    if not rows:
        fix = "Ask for other ones, or for more: --since 7d. To see what there is: whygate flows"
        raise UserError("No call fits; nothing was written", "", fix, EXIT_NOTHING)
    # Lists come without bodies; a call that went well has them where they were captured.
    return [source.one(row["id"]) or row for row in rows]


def aimed(row: dict[str, Any]) -> dict[str, Any]:
    """Give a call that came by a base URL as if the app had asked its provider: others have no use for our address.

    Only a provider that every gateway knows can be named; of others a row does not tell the host.
    """
    locator = _locator()
    path = str(row.get("path") or "").removeprefix(f"/~{STRUCK}")
    host, _, port = str(row.get("host") or "").partition(":")
    named = locator.provider_of(host, int(port) if port.isdecimal() else 443) is not None
    # The row of a WebSocket has its provider's host already, and the path as it was asked of us.
    if not row.get("provider") or (named and row.get("kind") != "websocket"):
        return row
    place = locator.find(None, path.encode("latin-1", "replace"))
    if place is None or place.provider.name != row["provider"]:
        return row
    upstream = str(place.upstream).partition("://")[2]
    return {**row, "host": upstream, "path": place.target.decode("latin-1")}


@cache
def _locator() -> Locator:
    return Locator(providers())


def refusal(leaks: Iterable[Leak]) -> UserError:
    """Give what is said when something stood there that must not leave. Never what it was."""
    lines = [f"{leak.file}: {leak.kind}" for leak in leaks]
    shown = lines[:_LEAKS_SHOWN] + ([f"... and {len(lines) - _LEAKS_SHOWN} more"] if lines[_LEAKS_SHOWN:] else [])
    return UserError(
        "Nothing was written: a secret would have left this machine",
        "\n         ".join(shown),
        "Leave that call out (name the others by id). A variable that holds no secret: env -u NAME whygate ...",
        EXIT_NOTHING,
    )


def _of_state(state: State) -> Iterable[Known]:
    """Give the secrets of the state directory, as far as they can be read."""
    with suppress(FileNotFoundError, StateError):
        yield Known("key of the fingerprints", files.read_private(state.fingerprint_key_file))
    with suppress(FileNotFoundError, StateError, ValueError):
        runtime = json.loads(files.read_private(state.runtime_json))
        for name, kind in (("token", "token of the page"), ("listen_token", "token of the listener")):
            if isinstance(runtime, dict) and isinstance(value := runtime.get(name), str):
                yield Known(kind, value.encode())
    with suppress(FileNotFoundError, StateError):
        for line in files.read_private(state.ca_key).splitlines():
            if len(line) >= _KEY_LINE_CHARS:
                yield Known("key of whygate's certificate authority", line)
