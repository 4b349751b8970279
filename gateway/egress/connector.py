"""aiohttp's connector, with our own names, deadline, and step through a company's proxy.

It does what it does best: the pool, both address families, TLS. The version of aiohttp is pinned exactly.
"""

import asyncio
import errno
import functools
import select
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, cast

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.helpers import set_exception
from aiohttp.http_exceptions import HttpProcessingError

from gateway.egress import socks, tunnel
from gateway.egress.network import Via, canonical, is_address
from gateway.egress.resolve import Resolver
from gateway.egress.timeline import Timeline
from gateway.egress.tunnel import ProxyProtocolError, ProxyUnreachableError, SocksRefusedError
from gateway.model.call import Header, Origin
from gateway.model.failure import NetCode, Phase

CONNECT_SECONDS = 5.0
"""For one connection, TLS included, all addresses of a host together. The official SDKs use the same."""

KEEP_ALIVE_SECONDS = 55.0
"""How long an idle connection is kept: shorter than those who close it from the other side, so that one rarely ends
while a request is on its way. Cloudflare, in front of most providers, closes after 400 s, nginx after 75 s, Amazon's
load balancers after 60 s (developers.cloudflare.com/fundamentals/reference/connection-limits; nginx.org, ngx_http_core;
docs.aws.amazon.com, "Application Load Balancers"; read 2026-11)."""

UNLIMITED = aiohttp.ClientTimeout(total=None)
"""The deadline is ours (`_Patience`): aiohttp's is one for each address."""

Through = Literal["straight", "forward", "tunnel"]
"""How a proxy is used: not at all, asked for the whole URL, or asked for a tunnel."""


class Stream(NamedTuple):
    """A connection without a protocol.

    Attributes:
        early: What has come on it already.
    """

    transport: asyncio.Transport
    early: bytes


class Pool(NamedTuple):
    """Connections to providers.

    Attributes:
        busy: In use, those included that are being opened.
        idle: Open, and waiting for the next call.
    """

    busy: int
    idle: int


class Key:
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
        self.proxy_key: Key | None = None
        if via is not None:
            scheme = "https" if via.scheme == "https" else "http"
            self.proxy_key = Key(Origin(scheme, via.host, via.port), context, None, "straight")

    def is_ssl(self) -> bool:
        """Whether TLS is spoken."""
        return self.connection_key.is_ssl


class _Patience:
    """How long one connection may still take to come about; what a proxy needs to find its target is not counted."""

    def __init__(self) -> None:
        self.left_seconds = CONNECT_SECONDS

    @asynccontextmanager
    async def bound(self, key: "Key", timeline: Timeline) -> AsyncIterator[None]:
        """Take the time of a step. TimeoutError when it has run out, with words for what was waited for."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.left_seconds):
                yield
        except TimeoutError as error:
            if error.errno is not None:
                raise  # the system's own (ETIMEDOUT)
            place = f"{key.host}:{key.port}"
            slow = f"TLS with {place} was not ready" if timeline.phase is Phase.TLS else f"{place} did not answer"
            message = f"{slow} within {CONNECT_SECONDS:g} s"
            raise TimeoutError(message) from None
        finally:
            self.left_seconds -= time.monotonic() - began


class _Dial:
    """One connection in the making, as the connector's idea of a request."""

    __slots__ = ("hop", "key", "patience", "timeline")

    def __init__(
        self,
        key: "Key",
        timeline: Timeline,
        patience: _Patience | None = None,
        hop: Header | None = None,
    ) -> None:
        self.key, self.timeline, self.patience, self.hop = key, timeline, patience or _Patience(), hop

    def __getattr__(self, name: str) -> Any:
        return getattr(self.key, name)


class _Protocol(ResponseHandler):
    """aiohttp's, which leaves whoever reads a body waiting for ever when the rest of it breaks HTTP."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell the body's reader, too. One whose body is whole is told nothing: it was what came behind that is odd."""
        body = self._payload
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and body is not None and not body.is_eof():
            set_exception(body, exc, *cause)


class Connector(aiohttp.TCPConnector):
    """aiohttp's, with our own names, deadline, and step through a proxy."""

    def __init__(self, names: Resolver, context: ssl.SSLContext) -> None:
        super().__init__(
            limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, resolver=names, use_dns_cache=False, ssl=context
        )
        self._names = names
        self._factory = cast("Any", functools.partial(_Protocol, loop=asyncio.get_running_loop()))

    async def stream(self, key: "Key", timeline: Timeline, hop: Header | None = None) -> Stream:
        """Give a connection without a protocol, that no pool knows; a proxy of HTTP is shown ``hop``."""
        dial = _Dial(key, timeline, hop=hop)
        if key.via is not None:
            return await self._tunnel(dial, key.via)
        transport, protocol = await self._straight(dial)
        early, protocol._tail = protocol._tail, b""  # noqa: SLF001 - kept there for whoever switches protocols
        return Stream(transport, early)

    def pool(self) -> Pool:
        """Count. aiohttp keeps those that the other side has closed until somebody asks for them."""
        idle = sum(protocol.is_connected() for kept in self._conns.values() for protocol, _ in kept)
        return Pool(len(self._acquired), idle)

    def has_idle(self, key: ConnectionKey) -> bool:
        """Whether one may be used again."""
        kept_since = time.monotonic() - KEEP_ALIVE_SECONDS
        return any(_is_usable(protocol) and at >= kept_since for protocol, at in self._conns.get(key, ()))

    async def _get(self, key: ConnectionKey, traces: Any) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            assert isinstance(connection.protocol, ResponseHandler)
            if _is_usable(connection.protocol):
                return connection
            connection.close()
        return None

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        if not is_address(host) and (known := self._names.known(host, port)) is not None:
            return known
        return await super()._resolve_host(host, port, traces)

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        key: Key = req
        timeline: Timeline = traces[0]
        dial = _Dial(key, timeline)
        if key.via is None:
            return (await self._straight(dial))[1]
        if key.through == "forward":
            return (await self._to_proxy(dial, key.via))[1]
        transport, early = await self._tunnel(dial, key.via)
        if not key.is_ssl():
            protocol = self._factory()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            if early:
                protocol.data_received(early)
            return protocol
        timeline.enter(Phase.TLS)
        if transport.is_closing():
            gone = ConnectionResetError(errno.ECONNRESET, "the tunnel was closed before TLS began")
            raise aiohttp.ClientConnectorError(key.connection_key, gone)
        async with dial.patience.bound(key, timeline):
            _, protocol = await self._start_tls_connection(transport, cast("Any", dial), UNLIMITED)
        return protocol

    async def _straight(self, dial: _Dial) -> tuple[asyncio.Transport, ResponseHandler]:
        return await self._create_direct_connection(cast("Any", dial), cast("Any", [dial.timeline]), UNLIMITED)

    async def _wrap_create_connection(self, *args: Any, req: Any, **how: Any) -> Any:
        """Connect, to the first address that takes it, and speak TLS; within the deadline, and the phases told apart.

        aiohttp comes here again with the next addresses when the first has failed.
        """
        dial: _Dial = req

        def make_protocol() -> ResponseHandler:
            if dial.is_ssl():  # it is made between the two
                dial.timeline.enter(Phase.TLS)
            return cast("ResponseHandler", args[0]())

        if dial.timeline.phase is Phase.TLS:
            dial.timeline.enter(Phase.CONNECT)
        async with dial.patience.bound(dial.key, dial.timeline):
            return await super()._wrap_create_connection(make_protocol, *args[1:], req=req, **how)

    async def _to_proxy(self, dial: _Dial, via: Via) -> tuple[asyncio.Transport, ResponseHandler]:
        assert dial.key.proxy_key is not None
        try:
            return await self._straight(_Dial(dial.key.proxy_key, dial.timeline, dial.patience))
        except aiohttp.ClientConnectorSSLError as error:
            message = f"TLS with the proxy {via} failed: is it an http:// proxy?"
            raise ProxyProtocolError(message) from error
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            message = f"the proxy {via} cannot be reached: {_reason(error)}"
            raise ProxyUnreachableError(message) from error

    async def _tunnel(self, dial: _Dial, via: Via) -> Stream:
        host, timeline = dial.key.host, dial.timeline
        if via.wants_address and not dial.key.is_address:
            host = await self._address_of(dial, via)
        transport, _ = await self._to_proxy(dial, via)
        if timeline.phase is not Phase.CONNECT:
            timeline.enter(Phase.CONNECT)
        if via.is_socks:
            return Stream(transport, await socks.ask_for_tunnel(transport, via, host, dial.key.port))
        return Stream(transport, await tunnel.ask_for_tunnel(transport, via, host, dial.key.port, dial.hop))

    async def _address_of(self, dial: _Dial, via: Via) -> str:
        """Look a name up for a proxy that is told addresses alone; of several the first that it can be told."""
        try:
            found = await self._resolve_host(dial.key.host, dial.key.port, [dial.timeline])
        except TimeoutError:
            raise
        except OSError as error:
            raise aiohttp.ClientConnectorDNSError(dial.key.connection_key, error) from error
        addresses = [str(one["host"]) for one in found]
        told = next((address for address in addresses if ":" not in address or via.scheme == "socks5"), None)
        if told is None:
            why = "cannot be told of this host: SOCKS4 knows no IPv6, and it has nothing else"
            raise SocksRefusedError(via, NetCode.PROXY_MISCONFIGURED, why)
        return told


def _is_usable(protocol: ResponseHandler) -> bool:
    """Whether an idle connection may carry a request.

    Its other side may have closed it, or have said something unasked (408 and the like), and the event loop may not
    have come to it yet.
    """
    transport = protocol.transport
    if transport is None or transport.is_closing() or protocol.should_close:
        return False
    raw = transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return False
    return not _has_news(raw.fileno(), tls=transport.get_extra_info("ssl_object") is not None)


def _has_news(descriptor: int, *, tls: bool) -> bool:
    """Whether the other side has closed, or without TLS has said anything. In TLS it may hand out session tickets."""
    if not hasattr(select, "poll"):  # Windows, where select takes descriptors of any number
        return bool(select.select([descriptor], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(descriptor, getattr(select, "POLLRDHUP", 0) | (0 if tls else select.POLLIN))
    return bool(waiting.poll(0))


def _reason(error: BaseException) -> str:
    """Give the words of the system; aiohttp's own repeat the address and print objects."""
    return str(getattr(error, "os_error", error)) or "no answer"
