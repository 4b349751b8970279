"""How probes touch the network: one connection, one handshake, one request, each with its time and its failure.

Every function ends within its ``seconds`` and raises nothing of the network's: a failure is a value, classified like
those of calls. No credential is sent unless the caller gives it in the headers.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

import h11

from gateway.doctor.case import Case
from gateway.doctor.opening import (
    Connection,
    addresses_of,
    context_of,
    open_straight,
    open_through,
    open_way,
)
from gateway.model.call import Headers
from gateway.model.failure import NetCode, NetFailure, Phase

__all__ = [
    "BODY_BYTES", "Answer", "Connection", "Served", "addresses_of", "clock_text", "context_of", "failure_of", "fetch",
    "open_straight", "open_through", "open_way", "served_by", "too_slow",
]  # fmt: skip

BODY_BYTES = 65_536
_NAME_CHARACTERS = 400
_SWITCHING = 101
_AGENT = ("user-agent", "whygate-doctor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The certificate that a server showed, verified or not.

    Attributes:
        subject: Its name, as RFC 4514 writes it.
        issuer: Whoever signed it.
        begins: From when it is valid, as ``2026-11-22 10:00 UTC``.
        ends: Until when.
        issuers: Of the whole chain that was served, from the leaf up.
        names: The DNS names that it is for, at most 20.
    """

    subject: str
    issuer: str
    begins: str
    ends: str
    issuers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one request.

    Attributes:
        address: Who was connected to; empty through a proxy and where no connection came about.
        status: 0 when no answer came.
        headers: Names in lower case.
        text: The start of the body.
        connect_ms: To connect, without the look-up of the name; through a proxy, to get the tunnel.
        tls_ms: For the handshake; 0 without one.
        first_byte_ms: From the request's end to the head of the answer.
        version: Of TLS, as ``TLSv1.3``.
        served: The certificate, where there was a handshake that got so far.
        failure: What went wrong; None when an answer came. With a ``status`` as well it is what befell the rest of the
            answer, in the phase ``body``.
    """

    address: str = ""
    status: int = 0
    headers: Headers = ()
    text: str = ""
    connect_ms: float = 0.0
    tls_ms: float = 0.0
    first_byte_ms: float = 0.0
    version: str = ""
    served: Served | None = None
    failure: NetFailure | None = None

    def header(self, name: str) -> str:
        """Give the first value of a header, empty when there is none."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), "")


def failure_of(error: BaseException, phase: Phase) -> NetFailure:
    """Name what went wrong, as for a call."""
    if isinstance(error, h11.RemoteProtocolError):
        sent = phase in {Phase.SEND, Phase.FIRST_BYTE, Phase.BODY}
        code = NetCode.TRUNCATED if phase is Phase.BODY else NetCode.PROTOCOL_ERROR
        return NetFailure(phase=phase, code=code, detail=" ".join(str(error).split())[:300], sent=sent)
    # With it comes aiohttp, which takes 0.4 s to import: a healthy run needs no word of it.
    from gateway.egress.classify import classify  # noqa: PLC0415

    return classify(error, phase)


class _Steps:
    """How far a request has come.

    Attributes:
        asked_at: When all of it was handed over.
    """

    def __init__(self, answer: Answer) -> None:
        self.phase, self.answer, self.asked_at = Phase.DNS, answer, time.perf_counter()


async def fetch(
    case: Case,
    url: str,
    *,
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    address: str = "",
    straight: bool = False,
    ca_file: str | None = None,
    seconds: float = 3.0,
    believing: bool = False,
    on_bytes: Callable[[bytes], None] | None = None,
) -> Answer:
    """Ask one thing over HTTP/1.1 and read the start of the answer. Redirects are not followed.

    Args:
        headers: Besides ``host``, ``accept`` and our name; ``connection`` is ``close`` unless it stands here.
        address: Connect there instead of to the URL's host, whose name TLS and the request still say.
        straight: Past the company's proxy.
        ca_file: To trust besides what is trusted anyway.
        believing: Accept any certificate. Never together with a credential.
        on_bytes: Called with each piece of the body as it comes.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    via = None if straight or address else case.via
    steps = _Steps(Answer())
    try:
        async with asyncio.timeout(seconds):
            steps.phase = Phase.CONNECT
            opened = open_way(case, host, port) if via is not None else open_straight(case, address or host, port)
            with await opened as connection:
                steps.answer = Answer(address=connection.address, connect_ms=connection.took_ms)
                if parts.scheme == "https":
                    steps.phase = Phase.TLS
                    await connection.secure(context_of(case, ca_file, believing=believing), host)
                    steps.answer = replace(
                        steps.answer,
                        tls_ms=connection.tls_ms,
                        version=connection.version,
                        served=served_by(connection.tls),
                    )
                request = _request(method, parts, headers, body)
                return await _exchange(connection, request, body, steps, on_bytes)
    except TimeoutError as error:
        if error.errno is None:
            return replace(steps.answer, failure=too_slow(steps.phase, f"{host}:{port}", seconds, via))
        return replace(steps.answer, failure=failure_of(error, steps.phase))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was measured
        return replace(steps.answer, failure=failure_of(error, steps.phase))


_SLOW = {
    Phase.CONNECT: (NetCode.CONNECT_TIMEOUT, "{place} did not answer within {seconds:g} s"),
    Phase.TLS: (NetCode.TLS_HANDSHAKE, "TLS with {place} was not ready within {seconds:g} s"),
    Phase.SEND: (NetCode.READ_TIMEOUT, "the request to {place} could not be sent within {seconds:g} s"),
    Phase.FIRST_BYTE: (NetCode.READ_TIMEOUT, "{place} gave no answer within {seconds:g} s"),
    Phase.BODY: (NetCode.READ_TIMEOUT, "the answer of {place} did not end within {seconds:g} s"),
}


def too_slow(phase: Phase, place: str, seconds: float, via: object | None = None) -> NetFailure:
    """Name a step that was not done in time.

    Args:
        place: Host and port.
        via: The proxy that was to give a tunnel, None for straight.
    """
    code, text = _SLOW[phase]
    detail = text.format(place=place, seconds=seconds)
    if via is not None and phase is Phase.CONNECT:
        code, detail = NetCode.PROXY_UPSTREAM_ERROR, f"the proxy {via} gave no tunnel to {place} within {seconds:g} s"
    return NetFailure(phase=phase, code=code, detail=detail, sent=phase not in {Phase.CONNECT, Phase.TLS})


def _request(method: str, parts: SplitResult, headers: Sequence[tuple[str, str]], body: bytes) -> h11.Request:
    host = parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    told = named if parts.port in {None, 80, 443} else f"{named}:{parts.port}"
    lines = [("host", told), _AGENT, ("accept", "*/*"), *headers]
    if all(name.lower() != "connection" for name, _ in headers):
        lines.append(("connection", "close"))
    if body:
        lines.append(("content-length", str(len(body))))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return h11.Request(method=method, target=target, headers=lines)


async def _exchange(
    connection: Connection,
    request: h11.Request,
    body: bytes,
    steps: _Steps,
    on_bytes: Callable[[bytes], None] | None,
) -> Answer:
    """Send a request and read the answer, as far as it is wanted; a server may answer before it has read all of it."""
    client = h11.Connection(h11.CLIENT)
    sent = [client.send(request), client.send(h11.Data(data=body)) if body else b"", client.send(h11.EndOfMessage())]
    steps.phase = Phase.SEND
    sending = asyncio.get_running_loop().create_task(_send(connection, b"".join(piece or b"" for piece in sent), steps))
    try:
        async for event in _events(client, connection):
            if isinstance(event, h11.Data):
                text = steps.answer.text + bytes(event.data).decode("latin-1")
                steps.answer = replace(steps.answer, text=text)
                if on_bytes is not None:
                    on_bytes(bytes(event.data))
                if len(text) >= BODY_BYTES:
                    break
            else:
                taken_ms = _since(steps.asked_at) if steps.phase is Phase.FIRST_BYTE else 0.0
                steps.phase = Phase.BODY
                headers = tuple(event.headers)
                steps.answer = replace(steps.answer, status=event.status_code, headers=headers, first_byte_ms=taken_ms)
    finally:
        sending.cancel()
        text = steps.answer.text[:BODY_BYTES].encode("latin-1").decode("utf-8", "replace")
        steps.answer = replace(steps.answer, text=text)
    return steps.answer


async def _send(connection: Connection, request: bytes, steps: _Steps) -> None:
    with contextlib.suppress(OSError):  # reading says so as well
        connection.writer.write(request)
        await connection.writer.drain()
        if steps.phase is Phase.SEND:
            steps.phase, steps.asked_at = Phase.FIRST_BYTE, time.perf_counter()


async def _events(
    client: h11.Connection, connection: Connection
) -> AsyncIterator[h11.Response | h11.InformationalResponse | h11.Data]:
    """Give the head of the answer, 101 among them, and the pieces of its body."""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            data = await connection.reader.read(BODY_BYTES)
            if not data and client.their_state is h11.SEND_RESPONSE and not client.trailing_data[0]:
                raise ConnectionResetError("the connection was closed without an answer")
            client.receive_data(data)
        elif isinstance(event, h11.Response | h11.Data) or (
            isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING
        ):
            yield event
        elif not isinstance(event, h11.InformationalResponse):
            return


def served_by(tls: ssl.SSLObject | None) -> Served | None:
    """Read the certificate that was served, None when there is none."""
    raw = tls.getpeercert(binary_form=True) if tls is not None else None
    if tls is None or not raw:
        return None
    from cryptography import x509  # noqa: PLC0415 - takes 0.1 s

    leaf = x509.load_der_x509_certificate(raw)
    chain = [leaf]
    if hasattr(tls, "get_unverified_chain"):  # from Python 3.13 on
        chain = [x509.load_der_x509_certificate(one) for one in tls.get_unverified_chain()[:8]] or chain
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    return Served(
        subject=leaf.subject.rfc4514_string()[:_NAME_CHARACTERS],
        issuer=leaf.issuer.rfc4514_string()[:_NAME_CHARACTERS],
        begins=f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
        ends=f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        issuers=tuple(one.issuer.rfc4514_string()[:_NAME_CHARACTERS] for one in chain),
        names=tuple(names[:20]),
    )


def clock_text() -> str:
    """Give what this machine's clock says, in the notation of `Served`."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
