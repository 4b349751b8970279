"""Which provider a request belongs to, and where it goes: by its host, or by the first path segment of a base URL."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.model.call import Origin
from gateway.model.provider import Provider


class Place(NamedTuple):
    """Where a request goes."""

    provider: Provider
    upstream: Origin
    target: bytes


class Locator:
    """Knows every provider's hosts and base URLs.

    Args:
        providers: Their ``upstream`` (origin and path), where set, replaces the host asked for; its path is put in
            front, and a ``/v1`` that would then stand twice stands once.
    """

    def __init__(self, providers: Iterable[Provider]) -> None:
        self.providers = tuple(providers)
        self._by_host: dict[tuple[str, int], Provider] = {}
        self._by_name = {
            # One without hosts is reached by its base URL alone, and its upstream says where it is.
            provider.name.encode(): (provider, Origin("https", *_host_port((*provider.hosts, provider.name)[0])))
            for provider in self.providers
        }
        self._override: dict[str, tuple[Origin, bytes]] = {}
        for provider in self.providers:
            for host in provider.hosts:
                self._by_host[_host_port(host)] = provider
            if provider.upstream is not None:
                self._override[provider.name] = _split(provider.upstream)

    def hosts(self) -> frozenset[str]:
        """Give ``host:port`` of every provider."""
        return frozenset(f"{host}:{port}" for host, port in self._by_host)

    def find(self, origin: Origin | None, target: bytes) -> Place | None:
        """Place a request.

        Args:
            origin: The host asked for, None in base-URL mode.
            target: Path and query as received.
        """
        if origin is None:
            name, slash, rest = target.removeprefix(b"/").partition(b"/")
            named = self._by_name.get(name)
            return None if named is None or not slash else self._aim(*named, b"/" + rest)
        provider = self._by_host.get((origin.host, origin.port))
        if provider is None and origin.scheme == "http":
            provider = self._by_host.get((origin.host, 443))
        return None if provider is None else self._aim(provider, origin, target)

    def _aim(self, provider: Provider, origin: Origin, target: bytes) -> Place:
        override = self._override.get(provider.name)
        if override is None:
            return Place(provider, origin, target)
        upstream, prefix = override
        if prefix and target.startswith(b"/v1/") and prefix.endswith(b"/v1"):
            prefix = prefix[:-3]
        return Place(provider, upstream, prefix + target)


def _host_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or 443


def _split(upstream: str) -> tuple[Origin, bytes]:
    parts = urlsplit(upstream)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    return Origin(parts.scheme, (parts.hostname or "").lower(), port), parts.path.rstrip("/").encode()
