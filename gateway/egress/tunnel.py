"""How a company's proxy is asked for a tunnel, in HTTP, and the ways in which it does not give one.

The step is our own, because the answer must be seen: a 407, a policy's 403 and a target that the proxy cannot reach are
three causes, and aiohttp drops the body that tells. h11 reads that answer.
"""

import asyncio
from typing import Any

import aiohttp
import h11

from gateway.egress.network import Via
from gateway.model.call import Header
from gateway.model.failure import NetCode

PROXY_ANSWER_SECONDS = 20.0
"""For a proxy's answer to CONNECT, and for all that is said in SOCKS: it has to find and reach the target first."""

PROXY_BODY_BYTES = 65_536
_SOCKS_BEGINS = frozenset({0x00, 0x04, 0x05})
"""What a server of SOCKS4 (its answers begin with zero) or SOCKS5 says first; HTTP begins with letters."""


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


class SocksRefusedError(aiohttp.ClientError):
    """A SOCKS proxy gave no tunnel, and said why.

    Attributes:
        code: What that is called.
        proxy: Its host and port.
    """

    def __init__(self, via: Via, code: NetCode, why: str) -> None:
        super().__init__(f"the proxy {via} {why}")
        self.code, self.proxy = code, f"{via.host}:{via.port}"


def reader_of(transport: asyncio.Transport) -> asyncio.StreamReader:
    """Read a connection that nobody reads yet."""
    reader = asyncio.StreamReader(limit=PROXY_BODY_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return reader


async def ask_for_tunnel(
    transport: asyncio.Transport, via: Via, host: str, port: int, hop: Header | None = None
) -> bytes:
    """Send CONNECT and read the answer; give what came behind it. The transport is closed when this raises.

    Args:
        hop: A header against circles, or None.

    Raises:
        ProxyRefusedError: It answered with something else than a tunnel, or not in time.
        ProxyUnreachableError: It closed the connection without an answer.
        ProxyProtocolError: What answered is no proxy of HTTP.
    """
    reader = reader_of(transport)
    client = h11.Connection(h11.CLIENT)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = _asking(via, target, hop)
    answer: Any = None
    body = b""
    opened = False
    try:
        async with asyncio.timeout(PROXY_ANSWER_SECONDS):
            transport.write(client.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b"")
            answer = await _next_event(client, reader)
            while isinstance(answer, h11.InformationalResponse):
                answer = await _next_event(client, reader)
            if isinstance(answer, h11.Response) and 200 <= answer.status_code < 300:
                opened = True
                return client.trailing_data[0]
            body = await _body(client, reader)
    except h11.RemoteProtocolError as error:
        what = "speaks SOCKS: is it a socks5:// proxy?" if _is_socks(client) else f"answers as no proxy does: {error}"
        message = f"what is at {via} {what}"
        raise ProxyProtocolError(message) from error
    except TimeoutError:
        if not isinstance(answer, h11.Response):
            raise ProxyRefusedError(via, 504, [], b"no answer to CONNECT") from None
    except ConnectionError as error:
        message = f"the proxy {via} reset the connection without an answer"
        raise ProxyUnreachableError(message) from error
    finally:
        if not opened:
            transport.abort()
    if not isinstance(answer, h11.Response):
        message = f"the proxy {via} closed the connection without an answer"
        raise ProxyUnreachableError(message)
    raise ProxyRefusedError(via, answer.status_code, list(answer.headers), body)


def _asking(via: Via, target: str, hop: Header | None) -> list[tuple[str, str]]:
    headers = [("host", target), ("user-agent", "whygate")]
    if hop is not None:
        headers.append((hop[0].decode("latin-1"), hop[1].decode("latin-1")))
    if via.authorization is not None:
        headers.append(("proxy-authorization", via.authorization.decode("ascii")))
    return headers


async def _next_event(client: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := client.next_event()) is h11.NEED_DATA:
        data = await reader.read(PROXY_BODY_BYTES)
        waits_for_head = client.their_state is h11.SEND_RESPONSE
        if not data and waits_for_head and not client.trailing_data[0]:
            return None
        client.receive_data(data)
        if waits_for_head and _is_socks(client):
            message = "these are bytes of SOCKS"  # h11 would wait for the end of a line
            raise h11.RemoteProtocolError(message)
    return event


def _is_socks(client: h11.Connection) -> bool:
    begun = client.trailing_data[0][:1]
    return client.their_state is h11.SEND_RESPONSE and bool(begun) and begun[0] in _SOCKS_BEGINS


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
