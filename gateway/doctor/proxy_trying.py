"""What stands at an address that a variable calls a proxy: tried by a tunnel to the target, nothing is sent through."""

import asyncio
import contextlib
import socket
import ssl

from gateway.doctor.case import Case
from gateway.doctor.wire import Connection, context_of, open_straight
from gateway.egress.network import Via

NAME, REFUSED, SILENT, SCHEME, NOT_A_PROXY = "name", "refused", "silent", "scheme", "not_a_proxy"
SECONDS = 2.0
_NO_PROXYS = frozenset({301, 308, 400, 404, 405, 411, 501})
"""What web servers say to CONNECT (RFC 9110 section 9.3.6 leaves it to proxies); 302 may lead to a proxy's own page."""
_TLS_ALERT = b"\x15\x03"


async def problem_at(case: Case, via: Via) -> str:
    """Say what is wrong with a proxy: one of the words above, empty when it seems to be one. Ends within `SECONDS`."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _at(case, via)
    except TimeoutError:
        return SILENT
    except socket.gaierror:
        return NAME
    except ConnectionRefusedError:
        return REFUSED
    except OSError:
        return SILENT


async def _at(case: Case, via: Via) -> str:
    if via.scheme == "https":
        try:
            with await open_straight(case, via.host, via.port) as connection:
                await connection.secure(context_of(case, believing=True), via.host)
                return _means(await _said(connection, _connect(case)))
        except (ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError):
            with await open_straight(case, via.host, via.port) as connection:
                said = await _said(connection, _connect(case))
                return SCHEME if said.startswith(b"HTTP/") else NOT_A_PROXY
    with await open_straight(case, via.host, via.port) as connection:
        if via.is_socks:
            hello = b"\x05\x01\x00" if via.scheme.startswith("socks5") else b""
            said = await _said(connection, hello) if hello else b"\x05"
            return "" if said[:1] == b"\x05" else NOT_A_PROXY
        said = await _said(connection, _connect(case))
    if said.startswith(_TLS_ALERT) or not said:
        # A server of TLS ends what is no handshake, with an alert or without a word.
        return await _speaks_tls(case, via)
    return _means(said)


async def _speaks_tls(case: Case, via: Via) -> str:
    with contextlib.suppress(OSError), await open_straight(case, via.host, via.port) as connection:
        await connection.secure(context_of(case, believing=True), via.host)
        return SCHEME
    return NOT_A_PROXY


def _connect(case: Case) -> bytes:
    place = f"{case.target.host}:{case.target.port}"
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()


async def _said(connection: Connection, words: bytes) -> bytes:
    connection.writer.write(words)
    await connection.writer.drain()
    try:
        return await connection.reader.read(64)
    except ConnectionResetError:
        return b""


def _means(said: bytes) -> str:
    if not said.startswith(b"HTTP/"):
        return NOT_A_PROXY
    status = said.partition(b" ")[2][:3]
    return NOT_A_PROXY if status.isdigit() and int(status) in _NO_PROXYS else ""
