"""Opens connections: name, address, the company's proxy where there is one, TLS. All that leaves goes through here."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

import aiohttp
import truststore
from aiohttp.connector import Connection

from gateway.egress.connector import UNLIMITED, Connector, Key, Pool, Stream, Through
from gateway.egress.lookups import LookUp, ask_system
from gateway.egress.network import Via, Ways, canonical
from gateway.egress.resolve import BarredError, LoopError, NotAllowedError, Resolver
from gateway.egress.timeline import Timeline
from gateway.egress.tunnel import ProxyUnreachableError
from gateway.model.call import Header, Origin
from gateway.model.failure import Phase

KEYS_MAX = 1_000


class Dialer:
    """Opens connections.

    Args:
        ca_file: A PEM file to trust besides the system's store, or None.
        own_address: Whether an address and port is one of our own listeners.
        ways: The way out for each target.
        barred: Host, port and the address that the host was found at -> why it must not be connected to, or None.
            None where any may be.
        look_up: What is asked for the addresses of a name, in a thread.
    """

    def __init__(
        self,
        *,
        ca_file: str | None,
        own_address: Callable[[str, int], bool],
        ways: Ways,
        barred: Callable[[str, int, str], str | None] | None = None,
        look_up: LookUp = ask_system,
    ) -> None:
        self._ca_file, self._ways = ca_file, ways

        def check(host: str, port: int, address: str) -> None:
            """Refuse an address; it is the one that is connected to, so that a name cannot change its mind."""
            if own_address(address, port):
                message = f"{host}:{port} is the gateway itself"
                raise LoopError(message)
            if barred is not None and (why := barred(host, port, address)):
                raise BarredError(why)

        self._check_address = check
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._keys: dict[tuple[Origin, str | None, bool], Key] = {}
        self._resolver = Resolver(check, look_up)
        self._connector = Connector(self._resolver, self.context(None))

    def way_to(self, origin: Origin) -> Via | None:
        """Give the proxy for a target, None for straight."""
        return self._ways.way_to(origin)

    async def connect(self, origin: Origin, ca_file: str | None, timeline: Timeline, *, raw: bool) -> Connection:
        """Give a connection to a provider, from the pool or new. Raises what `classify` names.

        Args:
            raw: The connection will be switched to another protocol, so a proxy must give a tunnel.
        """
        key = self._key(origin, ca_file, raw=raw)
        self._check(key)
        try:
            return await self._connector.connect(cast("Any", key), [cast("Any", timeline)], UNLIMITED)
        except (aiohttp.ClientConnectorDNSError, ProxyUnreachableError) as error:
            raise _unwrapped(error) from error

    async def stream(self, host: str, port: int, timeline: Timeline, hop: Header | None = None) -> Stream:
        """Give a new connection that bytes can be sent on, straight or through a tunnel. Raises what `classify` names.

        With ``hop``, a mark against circles, a proxy of HTTP is shown it.
        The caller sets its protocol before it awaits anything.
        """
        timeline.enter(Phase.CONNECT)
        target = Origin("http", host, port)
        key = Key(target, self.context(None), self._ways.way_to(Origin("https", host, port)), "tunnel")
        self._check(key)
        try:
            return await self._connector.stream(key, timeline, hop)
        except (aiohttp.ClientConnectorDNSError, ProxyUnreachableError) as error:
            raise _unwrapped(error) from error

    def answers(self, host: str) -> tuple[str, ...]:
        """Give what a name last resolved to."""
        return self._resolver.answers(canonical(host))

    def pool(self) -> Pool:
        """Count the connections."""
        return self._connector.pool()

    def has_idle(self, origin: Origin, ca_file: str | None) -> bool:
        """Whether the next call to a provider finds a connection open."""
        return self._connector.has_idle(self._key(origin, ca_file, raw=False).connection_key)

    async def warm(self, origin: Origin, ca_file: str | None) -> asyncio.BaseTransport:
        """Open a connection and leave it idle. Raises what `classify` names."""
        connection = await self.connect(origin, ca_file, Timeline(), raw=False)
        transport = connection.transport
        connection.release()
        if transport is None:
            raise aiohttp.ServerDisconnectedError
        return transport

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()
        await self._resolver.close()

    def context(self, ca_file: str | None) -> ssl.SSLContext:
        """Give TLS settings that trust the system's certificates, the configured ones, and ``ca_file``'s."""
        context = self._contexts.get(ca_file)
        if context is None:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            for extra in (self._ca_file, ca_file):
                if extra is not None:
                    context.load_verify_locations(extra)
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[ca_file] = context
        return context

    def _check(self, key: "Key") -> None:
        for place in (key, key.proxy_key):
            if place is not None and place.is_address:
                self._check_address(place.host, place.port, place.host)

    def _key(self, origin: Origin, ca_file: str | None, *, raw: bool) -> "Key":
        key = self._keys.get((origin, ca_file, raw))
        if key is None:
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            via = self._ways.way_to(origin)
            tunnelled = raw or origin.scheme == "https" or (via is not None and via.is_socks)
            through: Through = "tunnel" if tunnelled else "forward"
            key = self._keys[origin, ca_file, raw] = Key(origin, self.context(ca_file), via, through)
            if key.proxy_key is not None:
                key.proxy_key.ssl = self.context(None)
        return key


def _unwrapped(error: BaseException) -> BaseException:
    """Give our resolver's own refusal out of the connector's wrapping, else the error as it is."""
    link: BaseException | None = error
    while link is not None:
        os_error = getattr(link, "os_error", None)
        if isinstance(os_error, NotAllowedError):
            return os_error
        link = link.__cause__
    return error
