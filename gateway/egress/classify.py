"""From an exception chain to a `NetFailure`: typed first, then errno, then OpenSSL's reason; text never decides.

Every branch has a fault in ``tests/gateway/egress/test_classify.py`` that produces the real exception.
"""

import errno
import os
import re
import socket
import ssl
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from gateway.egress.tunnel import ProxyProtocolError, ProxyRefusedError, ProxyUnreachableError, SocksRefusedError
from gateway.model.failure import NOTHING_SEEN, NetCode, NetFailure, Phase, Surroundings

_BY_ERRNO = {
    errno.ECONNREFUSED: NetCode.CONNECTION_REFUSED,
    errno.ECONNRESET: NetCode.CONNECTION_RESET,
    errno.ECONNABORTED: NetCode.CONNECTION_RESET,
    errno.EPIPE: NetCode.CONNECTION_RESET,
    errno.ETIMEDOUT: NetCode.CONNECT_TIMEOUT,
    errno.ENETUNREACH: NetCode.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: NetCode.NETWORK_UNREACHABLE,
    errno.ENETDOWN: NetCode.NETWORK_UNREACHABLE,
    errno.EADDRNOTAVAIL: NetCode.NETWORK_UNREACHABLE,
    errno.EMFILE: NetCode.OUT_OF_DESCRIPTORS,
    errno.ENFILE: NetCode.OUT_OF_DESCRIPTORS,
}

_TOO_LATE = {
    Phase.DNS: NetCode.DNS_TIMEOUT,
    Phase.CONNECT: NetCode.CONNECT_TIMEOUT,
    Phase.TLS: NetCode.TLS_HANDSHAKE,
}

_UNTRUSTED = frozenset({18, 19, 20, 21})
"""OpenSSL verify codes: self-signed leaf, self-signed in chain, issuer not found locally, leaf alone unverifiable."""

_CONNECT = re.compile(r"Connect call failed \('([^']+)', (\d+)")
_NO_COMMON_GROUND = frozenset(
    {
        "DH_KEY_TOO_SMALL",
        "INAPPROPRIATE_FALLBACK",
        "NO_PROTOCOLS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_UNRECOGNIZED_NAME",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)
"""OpenSSL's reasons for two sides that will not agree next time either (RFC 8446 section 6.2). Any other end of a
handshake may be an accident."""

_UNNAMED = re.compile(r"\[SSL\] ([a-z0-9 ]+) \(_ssl")
_HOME = re.compile(r"(/home/|/Users/|C:\\Users\\)[^/\\\s]+")
_DETAIL_CHARACTERS = 300

_NO_PROXY_SAYS = frozenset({400, 404, 405, 501})
"""What a web server, or the wrong port of a proxy, answers to CONNECT: it does not know the method."""

_AT_PROXY = frozenset(
    {NetCode.PROXY_AUTH, NetCode.PROXY_DENIED, NetCode.PROXY_UNREACHABLE, NetCode.PROXY_MISCONFIGURED}
    | {NetCode.PROXY_UPSTREAM_ERROR}
)

_OF_TLS = frozenset({NetCode.TLS_CERTIFICATE, NetCode.TLS_UNTRUSTED_ISSUER, NetCode.TLS_HANDSHAKE, NetCode.TLS_REFUSED})

_BEFORE_SEND = frozenset({Phase.POOL, Phase.DNS, Phase.CONNECT, Phase.TLS})


def classify(error: BaseException, phase: Phase) -> NetFailure:
    """Name a failed attempt. Total: what fits nothing is `NetCode.UNKNOWN` with its words.

    Args:
        error: What egress caught; its ``__cause__`` and ``__context__`` are looked through.
        phase: The phase that the attempt was in.
    """
    chain = _chain(error)
    code = _code(chain, phase)
    if code in _OF_TLS and phase in _BEFORE_SEND:
        phase = Phase.TLS
    if code in {NetCode.DNS_FAILURE, NetCode.DNS_TIMEOUT}:
        phase = Phase.DNS
    if code in _AT_PROXY:
        phase = Phase.CONNECT  # the request itself was not sent yet, or refused by the proxy
    return NetFailure(
        phase=phase, code=code, detail=_words(chain), sent=phase not in _BEFORE_SEND, around=_answered_for(chain)
    )


def _answered_for(chain: list[BaseException]) -> Surroundings:
    """Give what a proxy answered in place of the target."""
    refused = next((error for error in chain if isinstance(error, (ProxyRefusedError, SocksRefusedError))), None)
    if refused is None:
        return NOTHING_SEEN
    if isinstance(refused, SocksRefusedError):
        return Surroundings(proxy=refused.proxy)
    return Surroundings(proxy=refused.proxy, status=refused.status, headers=refused.headers, text=refused.text)


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain and len(chain) < 10:
        chain.append(link)
        if isinstance(link, BaseExceptionGroup):
            chain.extend(link.exceptions[:5])
        os_error = getattr(link, "os_error", None)
        link = (
            os_error if isinstance(os_error, OSError) and os_error not in chain else link.__cause__ or link.__context__
        )
    return chain


def _code(chain: list[BaseException], phase: Phase) -> NetCode:  # noqa: C901, PLR0911, PLR0912 - it reads best flat
    if (of_proxy := next((code for error in chain if (code := _proxy_code(error)) is not None), None)) is not None:
        return of_proxy
    for error in chain:
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_code"):  # aiohttp's own has none
            return NetCode.TLS_UNTRUSTED_ISSUER if error.verify_code in _UNTRUSTED else NetCode.TLS_CERTIFICATE
        if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
            return NetCode.DNS_FAILURE
        if isinstance(error, aiohttp.ClientPayloadError):
            return NetCode.TRUNCATED  # before what caused it: aiohttp calls a missing rest a bad message
        if isinstance(error, HttpProcessingError):
            return NetCode.PROTOCOL_ERROR
    for error in chain:
        if isinstance(error, aiohttp.SocketTimeoutError):
            return NetCode.READ_TIMEOUT
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return NetCode.CONNECTION_RESET
        if isinstance(error, ssl.SSLError):
            settled = any(isinstance(link, ssl.SSLError) and _reason(link) in _NO_COMMON_GROUND for link in chain)
            return NetCode.TLS_REFUSED if settled and phase in _BEFORE_SEND else NetCode.TLS_HANDSHAKE
        if isinstance(error, OSError) and error.errno in _BY_ERRNO:
            return _BY_ERRNO[error.errno]
        if isinstance(error, ConnectionError):
            return NetCode.CONNECTION_RESET
        if isinstance(error, TimeoutError):
            return _TOO_LATE.get(phase, NetCode.READ_TIMEOUT)
    return NetCode.UNKNOWN


def _reason(error: ssl.SSLError) -> str:
    """Give OpenSSL's reason; Python has no name for the newer ones, and gives their words alone."""
    named = getattr(error, "reason", None) or ""  # aiohttp's own kind of it has none
    words = _UNNAMED.search(str(error)) if named in {"", "(null)"} else None
    return words[1].upper().replace(" ", "_") if words is not None else named


def _proxy_code(error: BaseException) -> NetCode | None:
    """Name what the way through a company's proxy failed of (RFC 9110 sections 9.3.6 and 15.5.8; RFC 1928)."""
    if isinstance(error, SocksRefusedError):
        return error.code
    if isinstance(error, ProxyRefusedError):
        if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return NetCode.PROXY_AUTH
        if error.status in _NO_PROXY_SAYS:
            return NetCode.PROXY_MISCONFIGURED
        return NetCode.PROXY_UPSTREAM_ERROR if error.status >= 500 else NetCode.PROXY_DENIED
    if isinstance(error, ProxyProtocolError):
        return NetCode.PROXY_MISCONFIGURED
    return NetCode.PROXY_UNREACHABLE if isinstance(error, ProxyUnreachableError) else None


def _words(chain: list[BaseException]) -> str:
    """Give the deepest exception that says something, without paths of a home directory, on one line."""
    if any(isinstance(error, aiohttp.ClientPayloadError) for error in chain):
        return "the connection ended before the answer did"  # aiohttp speaks of a bad message with status 400
    for error in (*(link for link in chain if _proxy_code(link) is not None), *reversed(chain)):
        if isinstance(error, aiohttp.ClientConnectorError):
            continue  # it repeats what it wraps, the address, and objects by their place in memory
        text = " ".join(str(error).split())
        if (failed := _CONNECT.search(text)) is not None and isinstance(error, OSError) and error.errno:
            host = f"[{failed[1]}]" if ":" in failed[1] else failed[1]
            return f"{host}:{failed[2]}: {os.strerror(error.errno)}"
        if text:
            return _HOME.sub(r"\1...", text)[:_DETAIL_CHARACTERS]
    return type(chain[-1]).__name__
