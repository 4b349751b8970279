"""Opens connections: name, address, the company's proxy where there is one, TLS. All that leaves goes through here.

aiohttp's connector does what it does best (pool, DNS cache, both address families, TLS). The step through a proxy is
our own, because its answer must be seen: a 407, a policy's 403 and a target that the proxy cannot reach are three
causes, and aiohttp drops the body that tells. h11 reads that answer. The version of aiohttp is pinned exactly.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import aiohttp
import h11
import truststore
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from gateway.egress.network import Via, Ways
from gateway.egress.resolve import BarredError, LoopError, NotAllowedError, Resolver, canonical, is_address
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from gateway.model.failure import Phase

CONNECT_SECONDS = 5.0
"""For one connection, TLS included. The official SDKs use the same."""

PROXY_ANSWER_SECONDS = 20.0
"""For the proxy's answer to CONNECT: it has to find and reach the target first."""

KEEP_ALIVE_SECONDS = 15.0
"""Shorter than any provider's own idle limit, so that a connection rarely closes while a request is on its way."""

PROXY_BODY_BYTES = 65_536
KEYS_MAX = 1_000

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)

Through = Literal["straight", "forward", "tunnel"]
"""How a proxy is used: not at all, asked for the whole URL, or asked for a tunnel."""


class ProxyUnreachableError(aiohttp.ClientError):
    """The proxy could not be connected to, or closed without an answer."""


class ProxyProtocolError(aiohttp.ClientError):
    """What is at the proxy's address does not speak the protocol of a proxy."""


class ProxyRefusedError(aiohttp.ClientError):
    """The proxy answered CONNECT with something else than a tunnel.

    Attributes:
        text: The start of the body, as text.
    """

    def __init__(self, via: Via, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        named = dict(headers)
        error = named.get(b"x-squid-error", b"").decode("latin-1").partition(" ")[0]
        super().__init__(f"the proxy {via} answered {status}{f' ({error})' if error else ''}")
        self.status, self.headers, self.text = status, tuple(headers), body.decode("utf-8", "replace")
        self.proxy = f"{via.host}:{via.port}"


class Stream(NamedTuple):
    """A connection without a protocol.

    Attributes:
        early: What has come on it already.
    """

    transport: asyncio.Transport
    early: bytes


class Pool(NamedTuple):
    """Connections to upstreams: in use or being opened, and kept for the next call."""

    busy: int
    idle: int


class Dialer:
    """Opens connections.

    Args:
        ca_file: A PEM file to trust besides the system's store, or None.
        own_address: Whether an address and port is one of our own listeners.
        ways: The way out for each target.
        barred: Host, port and the address that the host was found at -> why it must not be connected to, or None.
            None where any may be.
    """

    def __init__(
        self,
        *,
        ca_file: str | None,
        own_address: Callable[[str, int], bool],
        ways: Ways,
        barred: Callable[[str, int, str], str | None] | None = None,
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
        self._keys: dict[tuple[Origin, str | None, bool], _Key] = {}
        self._resolver = Resolver(check)
        self._connector = _Connector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            resolver=self._resolver,
            ttl_dns_cache=30,
            ssl=self.context(None),
        )

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
            return await self._connector.connect(cast("Any", key), [cast("Any", timeline)], _TIMEOUT)
        except (aiohttp.ClientConnectorDNSError, ProxyUnreachableError) as error:
            raise _unwrapped(error) from error

    async def stream(self, host: str, port: int, timeline: Timeline) -> Stream:
        """Give a new connection that bytes can be sent on, straight or through a tunnel. Raises what `classify` names.

        The caller sets its protocol before it awaits anything.
        """
        timeline.enter(Phase.CONNECT)
        target = Origin("http", host, port)
        key = _Key(target, self.context(None), self._ways.way_to(Origin("https", host, port)), "tunnel")
        self._check(key)
        try:
            return await self._connector.stream(key, [timeline])
        except (aiohttp.ClientConnectorDNSError, ProxyUnreachableError) as error:
            raise _unwrapped(error) from error

    def answers(self, host: str) -> tuple[str, ...]:
        """Give what a name last resolved to."""
        return self._resolver.answers(canonical(host))

    def pool(self) -> Pool:
        """Count the connections; one that the upstream has closed is idle no longer."""
        return self._connector.pool()

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()

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

    def _check(self, key: "_Key") -> None:
        for place in (key, key.proxy_key):
            if place is not None and place.is_address:
                self._check_address(place.host, place.port, place.host)

    def _key(self, origin: Origin, ca_file: str | None, *, raw: bool) -> "_Key":
        key = self._keys.get((origin, ca_file, raw))
        if key is None:
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            via = self._ways.way_to(origin)
            through: Through = "tunnel" if raw or origin.scheme == "https" else "forward"
            key = self._keys[origin, ca_file, raw] = _Key(origin, self.context(ca_file), via, through)
            if key.proxy_key is not None:
                key.proxy_key.ssl = self.context(None)
        return key


class _Connector(aiohttp.TCPConnector):
    """aiohttp's, with our own step through a proxy."""

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        key: _Key = req
        if key.via is None:
            _, protocol = await self._create_direct_connection(req, traces, timeout)
            return protocol
        transport, protocol = await self._to_proxy(key, traces)
        if key.through == "forward":
            return protocol
        early = await _ask_for_tunnel(transport, key.via, key.host, key.port)
        if not key.is_ssl():
            protocol = self._factory()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            if early:
                protocol.data_received(early)
            return protocol
        for trace in traces:
            trace.enter(Phase.TLS)
        _, protocol = await self._start_tls_connection(transport, req, timeout)
        return protocol

    def pool(self) -> Pool:
        """Count what is kept."""
        kept = (protocol for connections in self._conns.values() for protocol, _ in connections)
        return Pool(len(self._acquired), sum(protocol.is_connected() for protocol in kept))

    async def stream(self, key: "_Key", traces: list[Any]) -> Stream:
        """Give a connection without a protocol, that no pool knows."""
        if key.via is None:
            transport, protocol = await self._create_direct_connection(cast("Any", key), traces, _TIMEOUT)
            early, protocol._tail = protocol._tail, b""  # noqa: SLF001 - kept there for whoever switches protocols
            return Stream(transport, early)
        transport, _ = await self._to_proxy(key, traces)
        return Stream(transport, await _ask_for_tunnel(transport, key.via, key.host, key.port))

    async def _to_proxy(self, key: "_Key", traces: list[Any]) -> tuple[asyncio.Transport, ResponseHandler]:
        assert key.via is not None
        try:
            return await self._create_direct_connection(cast("Any", key.proxy_key), traces, _TIMEOUT)
        except aiohttp.ClientConnectorSSLError as error:
            message = f"TLS with the proxy {key.via} failed: is it an http:// proxy?"
            raise ProxyProtocolError(message) from error
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            message = f"the proxy {key.via} cannot be reached: {_reason(error)}"
            raise ProxyUnreachableError(message) from error


async def _ask_for_tunnel(transport: asyncio.Transport, via: Via, host: str, port: int) -> bytes:
    """Send CONNECT and read the answer; give what came behind it. The transport is closed when this raises."""
    reader = asyncio.StreamReader(limit=PROXY_BODY_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    client = h11.Connection(h11.CLIENT)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [("host", target), ("user-agent", "whygate")]
    if via.authorization is not None:
        headers.append(("proxy-authorization", via.authorization.decode("ascii")))
    try:
        async with asyncio.timeout(PROXY_ANSWER_SECONDS):
            transport.write(client.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b"")
            answer = await _next_event(client, reader)
            while isinstance(answer, h11.InformationalResponse):
                answer = await _next_event(client, reader)
            if isinstance(answer, h11.Response) and 200 <= answer.status_code < 300:
                return client.trailing_data[0]
            body = await _body(client, reader)
    except h11.RemoteProtocolError as error:
        transport.abort()
        message = f"what is at {via} does not answer as a proxy does: {error}"
        raise ProxyProtocolError(message) from error
    except TimeoutError:
        transport.abort()
        raise ProxyRefusedError(via, 504, [], b"no answer to CONNECT") from None
    except BaseException:
        transport.abort()
        raise
    transport.abort()
    if not isinstance(answer, h11.Response):
        message = f"the proxy {via} closed the connection without an answer"
        raise ProxyUnreachableError(message)
    raise ProxyRefusedError(via, answer.status_code, list(answer.headers), body)


async def _next_event(client: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := client.next_event()) is h11.NEED_DATA:
        data = await reader.read(PROXY_BODY_BYTES)
        if not data and client.their_state is h11.SEND_RESPONSE and not client.trailing_data[0]:
            return None
        client.receive_data(data)
    return event


async def _body(client: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        while size < PROXY_BODY_BYTES and isinstance(event := await _next_event(client, reader), h11.Data):
            parts.append(bytes(event.data))
            size += len(parts[-1])
    except (h11.RemoteProtocolError, OSError):
        pass  # the status has been read; half a page says no less
    return b"".join(parts)[:PROXY_BODY_BYTES]


def _unwrapped(error: BaseException) -> BaseException:
    """Give our resolver's own refusal out of the connector's wrapping, else the error as it is."""
    link: BaseException | None = error
    while link is not None:
        os_error = getattr(link, "os_error", None)
        if isinstance(os_error, NotAllowedError):
            return os_error
        link = link.__cause__
    return error


def _reason(error: BaseException) -> str:
    """Give the words of the system; aiohttp's own repeat the address and print objects."""
    return str(getattr(error, "os_error", "")) or "no answer"


class _Key:
    """What the connector asks of a request. A whole `ClientRequest` costs more than the connection."""

    proxy = None
    proxy_auth = None
    proxy_headers = None
    server_hostname = None

    __slots__ = ("connection_key", "host", "is_address", "port", "proxy_key", "ssl", "through", "url", "via")

    def __init__(self, origin: Origin, context: ssl.SSLContext, via: Via | None, through: Through) -> None:
        self.host, self.port = canonical(origin.host), origin.port
        self.via, self.through = via, through if via is not None else "straight"
        self.is_address = is_address(self.host)
        self.ssl = context
        self.url = yarl.URL.build(scheme=origin.scheme, host=self.host, port=origin.port)
        proxy = None if via is None else yarl.URL.build(scheme=via.scheme, host=via.host, port=via.port)
        self.connection_key = ConnectionKey(
            self.host, origin.port, origin.scheme == "https", context, proxy, None, hash(self.through), None
        )
        self.proxy_key: _Key | None = None
        if via is not None:
            self.proxy_key = _Key(Origin(via.scheme, via.host, via.port), context, None, "straight")

    def is_ssl(self) -> bool:
        """Whether TLS is spoken."""
        return self.connection_key.is_ssl
