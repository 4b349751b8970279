"""The providers that every gateway knows, for what the command line decides without asking one."""

from functools import cache

from gateway._discover import discover
from gateway.model.provider import Provider

LOCAL_HOSTS = frozenset({"localhost", "::1", "0.0.0.0"})  # noqa: S104  (compared, not bound)


@cache
def providers() -> tuple[Provider, ...]:
    """Give them in the order of their files; about 20 ms the first time."""
    return tuple(discover("gateway.providers", "PROVIDER", Provider).values())


def hosts() -> tuple[str, ...]:
    """Give the names of all their hosts; ``*.`` stands for every name below."""
    return tuple(dict.fromkeys(host.partition(":")[0] for provider in providers() for host in provider.hosts))


def is_known(host: str) -> bool:
    """Whether calls to a host are read without further ado. ``host`` is lower case."""
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in hosts())


def is_local(host: str) -> bool:
    """Whether a host is this machine, which NO_PROXY leaves out of every proxy."""
    return host in LOCAL_HOSTS or host.startswith("127.")
