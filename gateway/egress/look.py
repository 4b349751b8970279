"""Looks at what stood around a failed attempt: the addresses, the proxy's own words, the certificate that was served.

The certificate of a connection that was refused for it is not handed out by Python, and often it is only the symptom:
a filter that blocks a name answers with its own certificate and, behind it, with its page. So a second handshake is
made that believes anybody, with the failing host alone, and one request without any credential is sent on it. It ends
within two seconds, and never raises.
"""

import asyncio
import logging
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import h11
from cryptography import x509

from gateway.egress.dial import Dialer
from gateway.egress.timeline import Timeline
from gateway.egress.tunnel import ProxyProtocolError, ProxyRefusedError, ProxyUnreachableError, SocksRefusedError
from gateway.model.call import Headers, Origin
from gateway.model.failure import NetCode, NetFailure, Surroundings

_NOT_SEEN = (
    TimeoutError, OSError, ValueError,
    ProxyProtocolError, ProxyRefusedError, ProxyUnreachableError, SocksRefusedError,
)  # fmt: skip

logger = logging.getLogger("whygate.egress")

LOOK_SECONDS = 2.0
PAGE_BYTES = 16_384
_OF_CERTIFICATE = frozenset({NetCode.TLS_CERTIFICATE, NetCode.TLS_UNTRUSTED_ISSUER})
_NAME_CHARACTERS = 400


class _Served(NamedTuple):
    subject: str
    issuer: str
    begins: str
    ends: str
    clock: str
    status: int = 0
    headers: Headers = ()
    text: str = ""


async def around(dialer: Dialer, origin: Origin, failure: NetFailure, *, probes: bool) -> Surroundings:
    """Give what is known without asking, and with ``probes`` the certificate that the failing host serves."""
    via = dialer.way_to(origin)
    seen = replace(
        failure.around,
        addresses=() if via is not None and not via.wants_address else dialer.answers(origin.host),
        proxy=f"{via.host}:{via.port}" if via is not None else "",
    )
    served = await _served(dialer, origin) if probes and failure.code in _OF_CERTIFICATE else None
    return seen if served is None else replace(seen, **served._asdict())


async def _served(dialer: Dialer, origin: Origin) -> _Served | None:
    transport: asyncio.Transport | None = None
    served: _Served | None = None
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            stream = await dialer.stream(origin.host, origin.port, Timeline())
            transport = stream.transport
            reader = asyncio.StreamReader(limit=PAGE_BYTES)
            protocol = asyncio.StreamReaderProtocol(reader)
            transport.set_protocol(protocol)
            loop = asyncio.get_running_loop()
            secured = await loop.start_tls(transport, protocol, _believing(), server_hostname=origin.host)
            assert secured is not None
            transport = secured
            served = _named(secured.get_extra_info("ssl_object"))
            if served is None:
                return None
            protocol.connection_made(secured)
            served = await _asked(secured, reader, origin, served)
    except _NOT_SEEN:
        pass
    except Exception:
        logger.exception("looking at %s", origin.host)
    finally:
        if transport is not None:
            transport.abort()
    return served


def _believing() -> ssl.SSLContext:
    """Give TLS settings for looking, never for sending anything that matters."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _named(connection: ssl.SSLObject | None) -> _Served | None:
    raw = connection.getpeercert(binary_form=True) if connection is not None else None
    if not raw:
        return None
    certificate = x509.load_der_x509_certificate(raw)
    subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    times = (certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC))
    begins, ends, clock = (f"{time:%Y-%m-%d %H:%M} UTC" for time in times)
    return _Served(subject[:_NAME_CHARACTERS], issuer[:_NAME_CHARACTERS], begins, ends, clock)


async def _asked(
    transport: asyncio.Transport, reader: asyncio.StreamReader, origin: Origin, served: _Served
) -> _Served:
    """Ask for the root, as nobody in particular; what cannot be read changes nothing about the certificate."""
    client = h11.Connection(h11.CLIENT)
    headers = [("host", origin.host), ("user-agent", "whygate"), ("accept", "*/*"), ("connection", "close")]
    answer: h11.Response | None = None
    body = b""
    try:
        transport.write(client.send(h11.Request(method="GET", target="/", headers=headers)) or b"")
        transport.write(client.send(h11.EndOfMessage()) or b"")
        while len(body) < PAGE_BYTES:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(await reader.read(PAGE_BYTES))
            elif isinstance(event, h11.Response):
                answer = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                break
    except (OSError, h11.RemoteProtocolError):
        pass
    if answer is None:
        return served
    text = body[:PAGE_BYTES].decode("utf-8", "replace")
    return served._replace(status=answer.status_code, headers=tuple(answer.headers), text=text)
