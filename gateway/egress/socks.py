"""How a company's proxy is asked for a tunnel in SOCKS (RFC 1928, RFC 1929; openssh.com/txt/socks4.protocol, socks4a).

socksio writes and reads the messages; here is their order, how long each is, and what a refusal means.
"""

import asyncio
from collections.abc import Generator
from typing import NamedTuple

import socksio

from gateway.egress import tunnel
from gateway.egress.network import Via, is_address
from gateway.egress.tunnel import ProxyProtocolError, ProxyUnreachableError, SocksRefusedError, reader_of
from gateway.model.failure import NetCode

_READ_BYTES = 4_096
_NAME_BYTES = 255
_SOCKS5, _SOCKS4 = b"\x05", b"\x00"
"""What an answer begins with; those of SOCKS4 carry no version."""

_LOGIN = b"\x01\x05"
"""The version of the login's own protocol; some servers repeat that of SOCKS instead."""


class _Turn(NamedTuple):
    """One exchange.

    Attributes:
        said: What is sent.
        wanted: How many bytes are waited for.
        begins: What the first of them may be; empty for any.
    """

    said: bytes
    wanted: int
    begins: bytes = b""


type _Talk = Generator[_Turn, bytes]
"""Is sent the bytes that it wanted. Raises a refusal or nonsense; ends when the tunnel stands."""

_ADDRESS_BYTES = {1: 4, 4: 16}
"""By the kind of address in an answer of SOCKS5; that of a name (3) stands in front of it."""

_REFUSALS = {
    0x01: (NetCode.PROXY_UPSTREAM_ERROR, "failed in general (SOCKS5 answer 1)"),
    0x02: (NetCode.PROXY_DENIED, "does not allow this connection by its rules (SOCKS5 answer 2)"),
    0x03: (NetCode.PROXY_UPSTREAM_ERROR, "finds no route to the network (SOCKS5 answer 3)"),
    0x04: (NetCode.PROXY_UPSTREAM_ERROR, "cannot reach the host (SOCKS5 answer 4)"),
    0x05: (NetCode.PROXY_UPSTREAM_ERROR, "was refused by the host (SOCKS5 answer 5)"),
    0x06: (NetCode.PROXY_UPSTREAM_ERROR, "lost the way to the host, TTL expired (SOCKS5 answer 6)"),
    0x07: (NetCode.PROXY_MISCONFIGURED, "makes no tunnels, command not supported (SOCKS5 answer 7)"),
    0x08: (NetCode.PROXY_MISCONFIGURED, "does not take this kind of address (SOCKS5 answer 8)"),
}
"""RFC 1928 section 6."""

_REFUSALS_4 = {
    0x5B: (NetCode.PROXY_UPSTREAM_ERROR, "rejected the connection or could not make it (SOCKS4 answer 91)"),
    0x5C: (NetCode.PROXY_AUTH, "wants to ask this machine who we are, identd (SOCKS4 answer 92)"),
    0x5D: (NetCode.PROXY_AUTH, "does not take the user name (SOCKS4 answer 93)"),
}


async def ask_for_tunnel(transport: asyncio.Transport, via: Via, host: str, port: int) -> bytes:
    """Ask in SOCKS; give what came behind the answer. The transport is closed when this raises.

    Args:
        host: An address, or a name for the proxy to look up (``socks5h``, ``socks4a``).

    Raises:
        SocksRefusedError: It gave none and said why, or did not say so in time.
        ProxyUnreachableError: It closed the connection without an answer.
        ProxyProtocolError: What answered is no such proxy.
    """
    reader = reader_of(transport)
    is_4 = via.scheme.startswith("socks4")
    held, turns, opened = b"", 0, False
    try:
        talk = _in_socks4(via, host, port) if is_4 else _in_socks5(via, host, port)
        async with asyncio.timeout(tunnel.PROXY_ANSWER_SECONDS):
            turn = next(talk)
            while True:
                turns += 1
                transport.write(turn.said)
                while len(held) < turn.wanted:
                    held += await _more(reader, via)
                    _check(via, turn.begins, held)
                taken, held = held[: turn.wanted], held[turn.wanted :]
                try:
                    turn = talk.send(taken)
                except StopIteration:
                    opened = True
                    return held
    except socksio.SOCKSError as error:
        message = f"what is at {via} answers as no proxy of SOCKS does: {error}"
        raise ProxyProtocolError(message) from error
    except TimeoutError:
        if turns == 1 and not is_4:  # it is greeted, and has nobody to look for yet
            message = f"what is at {via} says nothing when it is greeted in SOCKS5: is it an http:// proxy?"
            raise ProxyProtocolError(message) from None
        raise SocksRefusedError(via, NetCode.PROXY_UPSTREAM_ERROR, "gave no answer in time") from None
    except ConnectionError as error:
        message = f"the proxy {via} reset the connection without an answer"
        raise ProxyUnreachableError(message) from error
    finally:
        if not opened:
            transport.abort()


async def _more(reader: asyncio.StreamReader, via: Via) -> bytes:
    data = await reader.read(_READ_BYTES)
    if not data:
        message = f"the proxy {via} closed the connection without an answer"
        raise ProxyUnreachableError(message)
    return data


def _check(via: Via, begins: bytes, answer: bytes) -> None:
    """Look at the first byte, which says who speaks; an answer in something else may be shorter than is waited for."""
    first = answer[:1]
    if not begins or first in begins:
        return
    hint = ""
    if first.isalpha() or first == b"<":
        hint = ": it speaks HTTP or the like, is it an http:// proxy?"
    elif first in {_SOCKS5, _SOCKS4}:
        other = 5 if first == _SOCKS5 else 4
        hint = f": it speaks SOCKS{other}, is it a socks{other}:// proxy?"
    message = f"what is at {via} does not answer in {via.scheme}{hint}"
    raise ProxyProtocolError(message)


def _in_socks5(via: Via, host: str, port: int) -> _Talk:
    talk = socksio.SOCKS5Connection()
    methods = [socksio.SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if via.login is not None:
        methods.append(socksio.SOCKS5AuthMethod.USERNAME_PASSWORD)
    talk.send(socksio.SOCKS5AuthMethodsRequest(methods))
    chosen = talk.receive_data((yield _Turn(talk.data_to_send(), 2, _SOCKS5)))
    assert isinstance(chosen, socksio.SOCKS5AuthReply)
    method = chosen.method
    if method is socksio.SOCKS5AuthMethod.USERNAME_PASSWORD and via.login is not None:
        talk.send(socksio.SOCKS5UsernamePasswordRequest(*via.login))
        answer = yield _Turn(talk.data_to_send(), 2, _LOGIN)
        talk.receive_data(_LOGIN[:1] + answer[1:])
        if answer[1] != 0:
            raise SocksRefusedError(via, NetCode.PROXY_AUTH, "does not take the user name and password")
    elif method is not socksio.SOCKS5AuthMethod.NO_AUTH_REQUIRED:
        wants = "wants a user name and password" if via.login is None else "takes no user name and password"
        raise SocksRefusedError(via, NetCode.PROXY_AUTH, wants)
    talk.send(socksio.SOCKS5CommandRequest.from_address(socksio.SOCKS5Command.CONNECT, (_sayable(via, host), port)))
    code = (yield _Turn(talk.data_to_send(), 2, _SOCKS5))[1]
    if code != 0:  # some send nothing behind it
        why = _REFUSALS.get(code, (NetCode.PROXY_UPSTREAM_ERROR, f"refused (SOCKS5 answer {code})"))
        raise SocksRefusedError(via, *why)
    head = yield _Turn(b"", 2)
    length = b"" if head[1] in _ADDRESS_BYTES else (yield _Turn(b"", 1))
    rest = yield _Turn(b"", (_ADDRESS_BYTES[head[1]] if not length else length[0]) + 2)
    talk.receive_data(_SOCKS5 + b"\0" + head + length + rest)


def _in_socks4(via: Via, host: str, port: int) -> _Talk:
    if ":" in host:
        why = "cannot be told an IPv6 address: SOCKS4 knows none, a socks5:// proxy does"
        raise SocksRefusedError(via, NetCode.PROXY_MISCONFIGURED, why)
    user = via.login.user if via.login is not None else b""
    kind = socksio.SOCKS4Request if is_address(host) else socksio.SOCKS4ARequest
    talk = socksio.SOCKS4Connection(user)
    talk.send(kind.from_address(socksio.SOCKS4Command.CONNECT, (_sayable(via, host), port), user))
    answer = yield _Turn(talk.data_to_send(), 8, _SOCKS4)
    if (refusal := _REFUSALS_4.get(answer[1])) is not None:
        raise SocksRefusedError(via, *refusal)
    talk.receive_data(answer)


def _sayable(via: Via, host: str) -> str:
    if len(host.encode()) > _NAME_BYTES:
        why = f"cannot be told a name of over {_NAME_BYTES} bytes"
        raise SocksRefusedError(via, NetCode.PROXY_UPSTREAM_ERROR, why)
    return host
