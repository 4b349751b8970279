"""From what happened on the path to evidence: the shape of the call, what stood around a failure, what went before."""

import math
from collections.abc import Mapping
from typing import Any

from gateway.diagnose.evidence import CallShape, Certificate, Evidence, History
from gateway.diagnose.observation import Observation
from gateway.diagnose.recent import Happened
from gateway.diagnose.vendors import Means
from gateway.excerpt import readable
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.call import Call, Headers
from gateway.model.exchange import Answered
from gateway.model.failure import NetFailure, Phase, Surroundings
from gateway.model.provider import Provider
from gateway.model.route import Route
from gateway.stages import Stages

BODY_BYTES_MAX = 1_048_576
"""A larger body is not fingerprinted: nobody repeats such a request by the dozen."""

_STATED = ((b"x-whygate-timeout-ms", 0.001), (b"x-stainless-read-timeout", 1.0), (b"x-stainless-timeout", 1.0))
_STREAM_BYTES_MIN = 16_384
_SILENT_SECONDS_MIN = 2.0
_WRITTEN_BYTES_PER_SECOND = 2_000_000
"""The fastest hosts write 3,000 tokens a second (2026-11), an event of 200 to 300 bytes each: less than half of it."""

_TELLING = frozenset({Means.BLOCK, Means.PORTAL, Means.SIGN_IN, Means.DENIED})


def shape_of(call: Call, route: Route) -> CallShape:
    """Give what the app asked, without anything that it wants kept to itself."""
    query = call.target.partition(b"?")[2].decode("latin-1")
    return CallShape(
        method=call.method,
        path=route.target.partition(b"?")[0].decode("latin-1"),
        plain=route.upstream.scheme == "http",
        credential=credential(call.index, route.provider, query),
        organization=any(name in call.index for name in route.provider.scope_headers),
        content_type=call.header(b"content-type") or "",
        size_bytes=len(call.body),
        input_tokens=route.input_tokens,
        stream=route.stream,
        retries=route.retry_count,
    )


def credential(headers: Mapping[bytes, bytes], provider: Provider, query: str) -> str:
    """Say how the credential stands there; see `CallShape.credential`."""
    for name in provider.key_headers:
        value = headers.get(name)
        if value is None:
            continue
        if value != value.strip() or b"\n" in value or not value:
            return "blank"
        if name != b"authorization":
            return "key"
        scheme, _, rest = value.partition(b" ")
        if scheme.lower() in {b"bearer", b"basic"}:
            return "bearer" if rest.strip() and b" " not in rest.strip() else "blank"
        return "bare"
    named = {pair.partition("=")[0] for pair in query.split("&")}
    return "key" if any(name.decode() in named for name in provider.key_query) else "none"


def evidence_of(
    stages: Stages,
    call: Call,
    route: Route,
    *,
    attempts: tuple[Attempt, ...] = (),
    head: ReplyHead | None = None,
    body: bytes = b"",
    failure: NetFailure | None = None,
    **more: Any,
) -> Evidence:
    """Put together what the engine looks at. The history is read only here, when something has failed."""
    text = ""
    if head is not None and body:
        text = readable(body, head.header(b"content-encoding"), head.header(b"content-type")) or ""
    if failure is not None:
        more |= surroundings(failure.around, answered=head is not None)
    return Evidence(
        provider=None if route.foreign else route.provider,
        host=route.upstream.host,
        model=route.model,
        call=shape_of(call, route),
        failure=failure,
        tried=attempts,
        stated_seconds=stated_seconds(call),
        attempts=len(attempts),
        history=history(stages, call, route),
        incident="" if route.foreign else stages.incident(route.provider.name),
        **({"head": head, "text": text} | more),
    )


def surroundings(seen: Surroundings, *, answered: bool) -> dict[str, Any]:
    """Give the fields of `Evidence` for what stood around a failure.

    Args:
        answered: The host itself had answered; then nobody else's answer counts.
    """
    found: dict[str, Any] = {
        "certificate": Certificate(
            subject=seen.subject, issuer=seen.issuer, begins=seen.begins, ends=seen.ends, clock=seen.clock
        ),
        "addresses": seen.addresses,
        "proxy": seen.proxy,
    }
    if not answered and seen.status and (not seen.issuer or _is_telling(seen)):
        found |= {"head": ReplyHead(status=seen.status, headers=seen.headers), "text": seen.text}
        found["stage"] = "" if seen.issuer else "proxy"
    return found


def _is_telling(seen: Surroundings) -> bool:
    """Whether what answered behind a bad certificate is a product's page; anything else is not worth a word."""
    head = ReplyHead(status=seen.status, headers=seen.headers)
    return Observation(Evidence(provider=None, host="", head=head, text=seen.text)).author.means in _TELLING


def stated_seconds(call: Call) -> float:
    """Give how long the app says that it waits, 0 when it does not say."""
    for name, unit in _STATED:
        try:
            seconds = float(call.index.get(name, b"")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return 0.0


def history(stages: Stages, call: Call, route: Route) -> History:
    """Read what went before."""
    return stages.recent.look(
        stages.clock.now(),
        route.upstream.host,
        model=route.model_group,
        key=route.key,
        client=_client(call, route),
        body=_fingerprint(route.target, call.body),
    )


def happened(answered: Answered, cause: str | None, now: float) -> Happened:
    """Give what the history keeps of a call that is over."""
    call, route, outcome = answered.admitted.call, answered.admitted.route, answered.outcome
    attempts = [attempt for attempt in answered.attempts if not attempt.fallback]  # a fallback says nothing of the host
    last = attempts[-1] if attempts else None
    connecting = [mark for mark in last.marks if mark.phase in {Phase.CONNECT, Phase.TLS}] if last is not None else []
    wait = outcome.diagnosis.wait_seconds if cause is not None and outcome.diagnosis is not None else None
    return Happened(
        at=now,
        host=route.upstream.host,
        model=route.model_group,
        key=route.key,
        client=_client(call, route),
        cause=cause,
        seconds=now - call.arrived,
        connect_seconds=sum(mark.end_ms - mark.start_ms for mark in connecting) / 1000,
        size_bytes=len(call.body),
        limits=() if last is None or last.head is None else _limits_in(last.head.headers),
        read_limits=route.provider.read_limits,
        stated_wait=wait or 0.0,
        body=_fingerprint(route.target, call.body) if cause is not None else 0,
        retries=route.retry_count,
        attempts=len(attempts),
        left=outcome.client_left,
        held_back_seconds=_held_back(answered, now) if cause is None and route.stream else None,
    )


def _limits_in(headers: Headers) -> Headers:
    """Keep what tells of limits, and nothing else of an answer."""
    return tuple(pair for pair in headers if b"limit" in pair[0])


def _held_back(answered: Answered, now: float) -> float | None:
    """Give how long a stream stayed silent before it came faster than anybody writes; None when nobody can tell."""
    outcome = answered.outcome
    if outcome.first_byte_at is None or outcome.bytes_out < _STREAM_BYTES_MIN or len(answered.attempts) != 1:
        return None
    silent = outcome.first_byte_at - answered.admitted.call.arrived - answered.queued_seconds
    at_once = now - outcome.first_byte_at < outcome.bytes_out / _WRITTEN_BYTES_PER_SECOND
    return silent if at_once and silent >= _SILENT_SECONDS_MIN else 0.0


def _client(call: Call, route: Route) -> str:
    """Tell apps apart: where they come from, which program, with whose key."""
    address = call.client.rpartition(":")[0]
    return f"{address} {call.index.get(b'user-agent', b'')[:80]!r} {route.key}"


def _fingerprint(target: bytes, body: bytes) -> int:
    return hash((target, body)) if 0 < len(body) <= BODY_BYTES_MAX else 0
