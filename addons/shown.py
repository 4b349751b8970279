"""A finished call as a flow of mitmproxy's, with the verdict where its UIs show a mark and a comment. Pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mitmproxy import connection, flow, http
from mitmproxy.net.http import status_codes

from addons.veil import covered, covered_body
from gateway.egress.headers import request_headers
from gateway.model.attempt import Attempt
from gateway.model.call import Call, Headers
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Concluded
from gateway.model.failure import Phase
from gateway.model.flow import FlowRow
from gateway.model.route import Route
from gateway.record.redact import credentials_of, kept_target, scrub

ANSWER_BYTES = 1_048_576
"""Of one answer; the start of a longer one is shown."""

FAILED = ":red_circle:"
"""A name in mitmproxy's list of emoji: its console and its page know it."""

_LONG_QUEUE_SECONDS = 0.05


@dataclass(slots=True)
class Seen:
    """What one exchange's app got, as it got it.

    Attributes:
        client: The connection it came by, None where no lane is in front.
        read_at: When the request had come; this and the others are seconds since the epoch, 0.0 for never.
        parts: The first `ANSWER_BYTES` of the answer.
        size: Of the answer.
    """

    client: connection.Client | None = None
    read_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    status: int = 0
    headers: Headers = ()
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def keep(self, data: bytes) -> None:
        """Note a part of the answer."""
        room = ANSWER_BYTES - self.size
        self.size += len(data)
        if room > 0 and data:
            self.parts.append(data if len(data) <= room else data[:room])


def flow_of(live: Live, concluded: Concluded, seen: Seen) -> http.HTTPFlow:
    """Give the flow of a call that the lane carried."""
    call, answered = live.call, concluded.answered
    route = answered.admitted.route
    own = credentials_of(call.headers, call.target.decode("latin-1"))
    made = http.HTTPFlow(seen.client or _client(call), _server(route, answered.attempts, call, concluded))
    made.id, made.timestamp_created = call.id, call.arrived_at
    made.request = _request(call, route, own, seen)
    made.response = _response(seen, own)
    left = answered.outcome.client_left
    if left or (concluded.diagnosis is not None and not answered.outcome.complete):
        ended_at = call.arrived_at + concluded.ended - call.arrived
        made.error = flow.Error(_verdict(concluded.diagnosis, own) if concluded.diagnosis else "cut off", ended_at)
    made.marked = FAILED if concluded.diagnosis is not None else ""
    made.comment = _comment(concluded, seen, own)
    return made


def flow_of_row(row: FlowRow, at: float) -> http.HTTPFlow:
    """Give the flow of something that never became a call: a request that could not be read, a refused WebSocket."""
    host, _, port = row.host.partition(":")
    peer, _, peer_port = row.client.rpartition(":")
    client = connection.Client(peername=(peer, int(peer_port or 0)), sockname=("", 0), timestamp_start=at)
    number = int(port) if port.isdigit() else 443
    made = http.HTTPFlow(client, connection.Server(address=(host, number)))
    made.id, made.timestamp_created = row.id, at
    method, path = (row.method or "GET").encode(), (row.path or "/").encode()
    scheme = b"https" if number == 443 else b"http"
    headers = http.Headers(((b"host", row.host.encode()),))
    made.request = http.Request(host, number, method, scheme, b"", path, b"HTTP/1.1", headers, b"", None, at, at)
    if row.status is not None:
        reason = status_codes.RESPONSES.get(row.status, "").encode()
        made.response = http.Response(b"HTTP/1.1", row.status, reason, http.Headers(), b"", None, at, at)
    judge(made, row)
    return made


def judge(shown: http.HTTPFlow, row: FlowRow, strike: Callable[[str], str] = scrub) -> None:
    """Put a row's verdict on a flow, without secrets. What a user wrote there stays, unless there is one to say."""
    if row.cause is not None:
        words = row.diagnosis or {}
        steps = list(words.get("what_to_do") or ())[:1]
        shown.marked = FAILED
        shown.comment = _one_line(strike(f"{row.cause}: {' '.join([words.get('what_happened', ''), *steps])}"))


def size_of(shown: flow.Flow) -> int:
    """Give the bytes that a flow holds, roughly."""
    if not isinstance(shown, http.HTTPFlow):
        return 0
    held = [shown.request.raw_content, shown.response.raw_content if shown.response else None]
    messages = shown.websocket.messages if shown.websocket else ()
    return 4096 + sum(len(body) for body in held if body) + sum(len(message.content) for message in messages)


def _client(call: Call) -> connection.Client:
    host, _, port = call.client.rpartition(":")
    return connection.Client(
        peername=(host, int(port or 0)), sockname=("", 0), timestamp_start=call.arrived_at, state=_CLOSED
    )


_CLOSED = connection.ConnectionState.CLOSED


def _server(route: Route, attempts: tuple[Attempt, ...], call: Call, concluded: Concluded) -> connection.Server:
    """Give the far side; of a connection that was new, with its times."""
    upstream = route.upstream
    server = connection.Server(address=(upstream.host, upstream.port))
    if upstream.scheme == "https":
        server.tls, server.sni = True, upstream.host
    marks = attempts[-1].marks if attempts else ()
    if not marks:
        return server
    ended_at = call.arrived_at + concluded.ended - call.arrived
    began = ended_at - marks[-1].end_ms / 1000
    for mark in marks:
        if mark.phase in {Phase.DNS, Phase.CONNECT}:
            server.timestamp_start = server.timestamp_start or began + mark.start_ms / 1000
            if mark.ok:
                server.timestamp_tcp_setup = began + mark.end_ms / 1000
        elif mark.phase is Phase.TLS and mark.ok:
            server.timestamp_tls_setup = began + mark.end_ms / 1000
    return server


def _request(call: Call, route: Route, own: tuple[str, ...], seen: Seen) -> http.Request:
    upstream = route.upstream
    headers = covered(request_headers(call, upstream))  # as it is sent on: with the provider's name in Host
    body = covered_body(call.body, _coding(call.headers), own, whole=call.body_complete)
    return http.Request(
        upstream.host, upstream.port, call.method.encode("latin-1"), upstream.scheme.encode(), b"",
        kept_target(route.target).encode("latin-1", "replace"), b"HTTP/1.1", http.Headers(headers), body, None,
        call.arrived_at, seen.read_at or call.arrived_at,
    )  # fmt: skip


def _response(seen: Seen, own: tuple[str, ...]) -> http.Response | None:
    if not seen.status:
        return None
    body = covered_body(b"".join(seen.parts), _coding(seen.headers), own, whole=seen.size <= ANSWER_BYTES)
    reason = status_codes.RESPONSES.get(seen.status, "").encode()
    headers = http.Headers(covered(seen.headers))
    ended_at = seen.ended_at or time.time()
    return http.Response(b"HTTP/1.1", seen.status, reason, headers, body, None, seen.started_at, ended_at)


def _coding(headers: Headers) -> str:
    return next((v.decode("latin-1").strip().lower() for n, v in headers if n == b"content-encoding"), "")


def _comment(concluded: Concluded, seen: Seen, own: tuple[str, ...]) -> str:
    """Say in one line why it failed; of a call that went well, what was done for it."""
    answered = concluded.answered
    parts = []
    if concluded.diagnosis is not None:
        parts.append(_verdict(concluded.diagnosis, own))
    if concluded.cache == "hit":
        parts.append("cache hit: answered by whygate, the provider was not asked")
    if len(answered.attempts) > 1:
        parts.append(f"sent {len(answered.attempts)} times")
    if answered.queued_seconds > _LONG_QUEUE_SECONDS:
        parts.append(f"waited {answered.queued_seconds:.1f} s for its turn")
    if not answered.admitted.call.body_complete:
        parts.append("only the start of the request is shown")
    if seen.size > ANSWER_BYTES:
        parts.append(f"only the first MiB of {seen.size:,} bytes is shown")
    return " · ".join(parts)


def _verdict(diagnosis: Diagnosis, own: tuple[str, ...]) -> str:
    return _one_line(scrub(f"{diagnosis.cause.value}: {diagnosis.sentence()}", own))


def _one_line(text: str) -> str:
    return " ".join(text.split())


__all__ = ["ANSWER_BYTES", "FAILED", "Seen", "flow_of", "flow_of_row", "judge", "size_of"]
