"""Which provider a request belongs to, and where it goes: by its host, or by the first path segment of a base URL."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.model.call import Origin
from gateway.model.provider import Provider

ADOPTED_MAX = 64
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NOT_IN_NAME = re.compile(r"[^a-z0-9.]+")


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
        relay: What a relay that is adopted while we run is taken for, but for its name and host.
    """

    def __init__(self, providers: Iterable[Provider], relay: Provider | None = None) -> None:
        self.providers = tuple(providers)
        self._relay = relay
        self._by_host: dict[tuple[str, int], Provider] = {}
        self._by_suffix: dict[tuple[str, int], Provider] = {}
        # One without hosts is reached by its base URL alone, and its upstream says where it is.
        self._by_name = {
            provider.name: (provider, Origin("https", *_host_port((*provider.hosts, provider.name)[0])))
            for provider in self.providers
            if provider.hosts or provider.upstream
        }
        self._override: dict[str, tuple[Origin, bytes]] = {}
        self._adopted: list[tuple[str, tuple[str, int]]] = []
        for provider in self.providers:
            for host in provider.hosts:
                name, port = _host_port(host)
                if name.startswith("*."):
                    self._by_suffix[name[2:], port] = provider
                else:
                    self._by_host[name, port] = provider
            if provider.upstream is not None:
                self._override[provider.name] = parted(provider.upstream)

    def provider_of(self, host: str, port: int) -> Provider | None:
        """Give whose host it is, None when it is nobody's. ``host`` is lower case."""
        provider = self._by_host.get((host, port))
        rest = host
        while provider is None and (rest := rest.partition(".")[2]):
            provider = self._by_suffix.get((rest, port))
        return provider

    def knows(self, host: str, port: int) -> bool:
        """Whether the settings lead calls to a host and port: a provider's, or one that calls are sent to instead."""
        instead = ((origin.host, origin.port) for origin, _ in self._override.values())
        return self.provider_of(host, port) is not None or (host, port) in instead

    def find(self, origin: Origin | None, target: bytes) -> Place | None:
        """Place a request.

        Args:
            origin: The host asked for, None in base-URL mode.
            target: Path and query as received.
        """
        if origin is None:
            return self._find_by_name(target)
        provider = self.provider_of(origin.host, origin.port)
        if provider is None and origin.scheme == "http":
            provider = self.provider_of(origin.host, 443)
        return None if provider is None else self._aim(provider, origin, target)

    def adopt(self, url: str) -> str | None:
        """Give the base URL's path on the gateway for an address that an app was told to use.

        A host that nobody knows becomes a provider of its own; the one adopted first makes room for the
        `ADOPTED_MAX` + first.

        Returns:
            None when the address is not one that calls could be sent to, or holds a credential.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}[parts.scheme]
        except (ValueError, KeyError):
            return None
        if not host or parts.username is not None or parts.query or parts.fragment:
            return None
        path, known = parts.path.rstrip("/"), self.provider_of(host, port)
        if known is not None:
            return "/" + _segments(known, host, port) + path
        if self._relay is None:
            return None
        return f"/{self._adopt(self._relay, Origin(parts.scheme, host, port))}{path}"

    def _adopt(self, relay: Provider, origin: Origin) -> str:
        name = _NOT_IN_NAME.sub("-", str(origin).partition("://")[2]).strip("-")
        if "." not in name or name in self._by_name:
            name = _NOT_IN_NAME.sub("-", f"{origin.host}-{origin.port}").strip("-")
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        provider = replace(relay, name=name, hosts=(f"{host}:{origin.port}",))
        self._by_host[origin.host, origin.port] = provider
        self._by_name[name] = (provider, origin)
        self._adopted.append((name, (origin.host, origin.port)))
        if len(self._adopted) > ADOPTED_MAX:
            oldest, place = self._adopted.pop(0)
            del self._by_name[oldest], self._by_host[place]
        return name

    @property
    def adopted(self) -> list[tuple[Provider, Origin]]:
        """Give what was adopted, the oldest first."""
        return [self._by_name[name] for name, _ in self._adopted]

    def take_over(self, before: "Locator") -> None:
        """Know what another one has adopted, under the same names, but for what is known here by now."""
        for provider, origin in before.adopted:
            place = origin.host, origin.port
            if provider.name not in self._by_name and place not in self._by_host:
                self._by_host[place] = provider
                self._by_name[provider.name] = provider, origin
                self._adopted.append((provider.name, place))

    def _find_by_name(self, target: bytes) -> Place | None:
        name, slash, rest = target.removeprefix(b"/").partition(b"/")
        named = self._by_name.get(name.decode("latin-1"))
        if named is None or not slash:
            return None
        provider, origin = named
        first, slash, after = rest.partition(b"/")
        host, port = _resource(provider, first.decode("latin-1").lower())
        if slash and host and self.provider_of(host, port) is provider:
            origin, rest = Origin(origin.scheme, host, port), after
        elif provider.resource_host:
            return None
        return self._aim(provider, origin, _whole(provider, b"/" + rest))

    def _aim(self, provider: Provider, origin: Origin, target: bytes) -> Place:
        override = self._override.get(provider.name)
        if override is None:
            return Place(provider, origin, target)
        upstream, prefix = override
        return Place(provider, upstream, below(prefix, target))


def home_of(provider: Provider) -> Origin | None:
    """Give where the calls of a provider go, its first host where it has several; None where each customer has one."""
    if provider.upstream is not None:
        return parted(provider.upstream)[0]
    if provider.resource_host or not provider.hosts or provider.hosts[0].startswith("*"):
        return None
    return Origin("https", *_host_port(provider.hosts[0]))


def _resource(provider: Provider, segment: str) -> tuple[str, int]:
    """Give the host that a base URL's second segment names: a customer's label, or one of several hosts as a whole.

    Returns:
        An empty host when it names none.
    """
    if provider.resource_host and _LABEL.fullmatch(segment):
        return provider.resource_host.format(segment), 443
    name, colon, port = segment.partition(":")
    if "." not in name or (colon and not (port.isdecimal() and 0 < int(port[:6]) < 65_536)):
        return "", 0
    return name, int(port) if colon else 443


def _whole(provider: Provider, target: bytes) -> bytes:
    """Put in front what the app's SDK left out, where that alone makes the path one that the provider has."""
    base = provider.implied_base.encode()
    if not base or target.startswith(base + b"/"):
        return target
    known = provider.endpoints
    as_is, completed = provider.name_target(target).path, provider.name_target(base + target).path
    return base + target if completed in known and as_is not in known else target


def _segments(provider: Provider, host: str, port: int) -> str:
    """Give the first segments of a base URL that leads to one host of a provider."""
    whole = host if port == 443 else f"{host}:{port}"
    if provider.resource_host:
        before, _, after = provider.resource_host.partition("{}")
        label = host.removeprefix(before).removesuffix(after)
        return f"{provider.name}/{label if provider.resource_host.format(label) == whole else whole}"
    return provider.name if _host_port(provider.hosts[0]) == (host, port) else f"{provider.name}/{whole}"


def below(prefix: bytes, target: bytes) -> bytes:
    """Put an upstream's path before a call's own; a ``/v1`` that would then stand twice stands once."""
    if target.startswith(b"/v1/") and prefix.endswith(b"/v1"):
        prefix = prefix[:-3]
    return prefix + target


def _host_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or 443


def parted(upstream: str) -> tuple[Origin, bytes]:
    """Give the origin and the path of an upstream as the settings have it, the path without a slash at its end."""
    parts = urlsplit(upstream)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    return Origin(parts.scheme, (parts.hostname or "").lower(), port), parts.path.rstrip("/").encode()
