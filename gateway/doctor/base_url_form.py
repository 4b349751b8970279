"""Base URL variables of SDKs: how they are written, and whether somebody answers where they lead."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import urlsplit

from gateway._discover import discover
from gateway.doctor.asking import provider_of
from gateway.doctor.case import Case
from gateway.doctor.own_way import bears_our_mark
from gateway.doctor.wire import open_straight
from gateway.egress.network import is_local
from gateway.model.provider import Provider

SPACES, UNREADABLE, PLAIN, NO_BASE, DOUBLED, STALE, REFUSED, OTHER = (
    "spaces", "unreadable", "plain", "no_base", "doubled", "stale", "refused", "other_provider",
)  # fmt: skip
_BASES = ("_BASE_URL", "_API_BASE")
"""Names of what SDKs put a path behind; others name a host."""
_CONNECT_SECONDS = 1.0
_USUAL_PORTS = {"https": 443, "http": 80}
_LOCAL_MODELS = ("OLLAMA_HOST", "OLLAMA_BASE_URL", "OLLAMA_API_BASE", "LM_STUDIO_API_BASE", "LMSTUDIO_BASE_URL")
"""Where programs look for a model server on this machine (the servers' own manuals, read 2026-11)."""


@cache
def providers() -> tuple[Provider, ...]:
    """Give the built-in ones."""
    return tuple(discover("gateway.providers", "PROVIDER", Provider).values())


def owner_of(variable: str) -> Provider | None:
    """Give whose SDK reads a variable."""
    return next((one for one in providers() if variable in one.base_url_variables), None)


async def problems_of(case: Case) -> tuple[tuple[str, str], ...]:
    """Give each base URL variable that is set, with what is wrong with it: one of the words above, or nothing."""
    names = dict.fromkeys(name for one in providers() for name in one.base_url_variables if case.environ.get(name))
    found = await asyncio.gather(*(_problem(case, name) for name in names))
    return tuple(zip(names, found, strict=True))


def calls_local_models(environ: Mapping[str, str], flows: Sequence[Mapping[str, object]]) -> bool:
    """Whether something here calls a model on this machine: by its variables, or by what was called of late."""
    values = [environ.get(name, "") for name in _LOCAL_MODELS]
    values += [environ.get(name, "") for one in providers() for name in one.base_url_variables]
    hosts = [host_of(value) for value in values if value and not bears_our_mark(environ, value)]
    hosts += [str(row.get("host") or "") for row in flows]
    return any(is_local(host) for host in hosts if host)


def host_of(value: str) -> str:
    """Give the host of an address with or without a scheme, empty when it cannot be read."""
    try:
        return (urlsplit(value if "://" in value else f"//{value}").hostname or "").lower()
    except ValueError:
        return ""


def form_of(name: str, value: str) -> str:
    """Say what is wrong with how a variable is written, without asking anybody."""
    owner = owner_of(name)
    plain = value.strip()
    try:
        parts = urlsplit(plain)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return UNREADABLE
    if parts.scheme not in _USUAL_PORTS or not host or port == 0 or any(one.isspace() for one in plain):
        return UNREADABLE
    if value != plain:
        return SPACES
    if is_local(host) or owner is None:
        return ""
    theirs = provider_of(host, providers())
    if theirs is not None and parts.scheme == "http":
        return PLAIN
    if theirs is not None and theirs.name != owner.name and theirs.name not in {"azure", "openai_compatible"}:
        return OTHER
    path = parts.path.rstrip("/")
    if theirs is owner and name.endswith(_BASES) and owner.base_path.endswith("/v1") and not path.endswith("/v1"):
        return NO_BASE
    return DOUBLED if name == "ANTHROPIC_BASE_URL" and theirs is owner and path.endswith("/v1") else ""


async def _problem(case: Case, name: str) -> str:
    value = case.environ[name]
    found = form_of(name, value)
    parts = urlsplit(value.strip()) if found in {"", SPACES} else None
    if parts is None or not is_local((parts.hostname or "").lower()):
        return found
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            with await open_straight(case, parts.hostname or "", parts.port or _USUAL_PORTS[parts.scheme]):
                return found
    except (OSError, TimeoutError):
        owner = owner_of(name)
        ours = owner is not None and parts.path.rstrip("/") == f"/{owner.name}{owner.base_path}"
        return STALE if ours or bears_our_mark(case.environ, value) else REFUSED
