"""The engine: `Evidence -> Diagnosis`. Pure, total, deterministic; what nothing explains is `unknown`.

Theory of operation. One question at a time, each on one layer, first answer wins:

1. Did a stage of ours refuse it, or fail? It names its cause itself.
2. Did the app leave? Then whatever else was under way is not a failure of the other side.
3. Did it fail below HTTP? `NetCode` has one cause each; during a body the same failure cuts a stream.
4. Did the provider write an error? Its envelope decides: the documented code (declared), what only its message tells
   (declared), else what its status means (inferred). Without its envelope somebody else may have written the answer,
   and a status alone proves nothing: `unknown`, with what was seen.
"""

import logging

import orjson

from gateway.diagnose.evidence import Evidence
from gateway.diagnose.remedies.en import ENGLISH
from gateway.diagnose.remedy import fill
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Declared, Provider, StatedLimit

logger = logging.getLogger("whygate.diagnose")

_BY_CODE: dict[NetCode, Cause] = {
    NetCode.DNS_FAILURE: Cause.NETWORK_DNS_FAILURE,
    NetCode.DNS_TIMEOUT: Cause.NETWORK_DNS_FAILURE,
    NetCode.NETWORK_UNREACHABLE: Cause.NETWORK_OFFLINE,
    NetCode.CONNECTION_REFUSED: Cause.NETWORK_TCP_REFUSED,
    NetCode.CONNECT_TIMEOUT: Cause.NETWORK_TCP_TIMEOUT,
    NetCode.CONNECTION_RESET: Cause.NETWORK_CONNECTION_RESET,
    NetCode.TLS_CERTIFICATE: Cause.NETWORK_TLS_CERTIFICATE,
    NetCode.TLS_UNTRUSTED_ISSUER: Cause.NETWORK_TLS_CERTIFICATE,
    NetCode.TLS_HANDSHAKE: Cause.NETWORK_TLS_HANDSHAKE,
    NetCode.PROXY_UNREACHABLE: Cause.NETWORK_PROXY_UNREACHABLE,
    NetCode.PROXY_AUTH: Cause.NETWORK_PROXY_AUTH,
    NetCode.PROXY_DENIED: Cause.NETWORK_PROXY_DENIED,
    NetCode.PROXY_UPSTREAM_ERROR: Cause.NETWORK_PROXY_UPSTREAM_ERROR,
    NetCode.PROXY_MISCONFIGURED: Cause.NETWORK_PROXY_MISCONFIGURED,
    NetCode.UPGRADE_UNANSWERED: Cause.NETWORK_WEBSOCKET_BLOCKED,
    NetCode.READ_TIMEOUT: Cause.NETWORK_READ_TIMEOUT,
    NetCode.PROTOCOL_ERROR: Cause.SERVICE_PROTOCOL_ERROR,
    NetCode.TRUNCATED: Cause.SERVICE_STREAM_TRUNCATED,
    NetCode.STREAM_TRUNCATED: Cause.SERVICE_STREAM_TRUNCATED,
    NetCode.OUT_OF_DESCRIPTORS: Cause.PROXY_OVERLOADED,
    NetCode.UNKNOWN: Cause.UNKNOWN,
}

_IN_BODY: dict[NetCode, Cause] = {
    NetCode.CONNECTION_RESET: Cause.NETWORK_STREAM_INTERRUPTED,
    NetCode.READ_TIMEOUT: Cause.SERVICE_STREAM_STALLED,
}
"""The same failure, once the answer had begun."""

_RULED_OUT: dict[Phase, tuple[Cause, ...]] = {
    Phase.CONNECT: (Cause.NETWORK_DNS_FAILURE,),
    Phase.TLS: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_REFUSED, Cause.NETWORK_TCP_TIMEOUT),
    Phase.SEND: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE),
    Phase.FIRST_BYTE: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE),
    Phase.BODY: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE),
}
"""What a failure in a phase excludes: the phases before it went well."""

_DETAIL_CHARACTERS = 300
_LIMITS_MAX = 6


def diagnose(evidence: Evidence) -> Diagnosis:
    """Give the verdict on a failed call. Total: a bug in here is a verdict, too, and never costs a row."""
    try:
        return _diagnose(evidence)
    except Exception as error:
        logger.exception("no verdict")
        return _say(evidence, Cause.PROXY_INTERNAL_ERROR, Precision.DECLARED, type(error).__name__, seen=())


def _diagnose(evidence: Evidence) -> Diagnosis:
    if evidence.refused is not None:
        return _say(evidence, evidence.refused.cause, Precision.DECLARED, evidence.refused.why, seen=())
    if evidence.internal_error is not None:
        return _say(evidence, Cause.PROXY_INTERNAL_ERROR, Precision.DECLARED, evidence.internal_error, seen=())
    if evidence.client_left:
        return _client_left(evidence)
    if evidence.failure is not None:
        return _network(evidence, evidence.failure)
    if evidence.stream_error:
        return _stream_error(evidence)
    if evidence.stream_truncated:
        seen = ("the stream ended cleanly, but without the event that ends an answer of this protocol",)
        return _say(evidence, Cause.SERVICE_STREAM_TRUNCATED, Precision.INFERRED, "its end mark is missing", seen=seen)
    return _answer(evidence)


def _client_left(evidence: Evidence) -> Diagnosis:
    waited = evidence.waited_seconds
    seen = (f"the app closed its connection after {waited:.1f} s", _progress(evidence))
    return _say(evidence, Cause.CLIENT_DISCONNECTED, Precision.DECLARED, f"after {waited:.1f} s", seen=seen)


def _progress(evidence: Evidence) -> str:
    if evidence.head is not None:
        return f"the provider had begun to answer with status {evidence.head.status}"
    return (
        "the provider had been asked and had not answered yet"
        if evidence.attempts
        else "the provider had not been asked yet"
    )


def _network(evidence: Evidence, failure: NetFailure) -> Diagnosis:
    cause = _BY_CODE[failure.code]
    alternatives: tuple[Cause, ...] = ()
    if failure.phase is Phase.BODY:
        cause = _IN_BODY.get(failure.code, cause)
        if failure.code is NetCode.TRUNCATED and _is_stream(evidence):
            # The framing broke off: that is a cut connection, and only possibly a provider that gave up.
            cause, alternatives = Cause.NETWORK_STREAM_INTERRUPTED, (Cause.SERVICE_STREAM_TRUNCATED,)
    if failure.code is NetCode.TLS_UNTRUSTED_ISSUER:
        alternatives = (Cause.NETWORK_TLS_INSPECTION,)
    if failure.code is NetCode.NETWORK_UNREACHABLE:
        alternatives = (Cause.NETWORK_IPV6_BROKEN,)
    seen = (
        f"attempt {evidence.attempts} failed in the phase {failure.phase.value}: {failure.detail}",
        "the request may have reached the provider" if failure.sent else "the request was never sent",
    )
    ruled_out = tuple(other for other in _RULED_OUT.get(failure.phase, ()) if other is not cause)
    return _say(
        evidence,
        cause,
        Precision.INFERRED,  # until a probe confirms it
        failure.detail,
        seen=seen,
        alternatives=alternatives,
        ruled_out=ruled_out,
    )


def _is_stream(evidence: Evidence) -> bool:
    kind = evidence.head.header(b"content-type") if evidence.head is not None else None
    return (kind or "").startswith("text/event-stream")


def _stream_error(evidence: Evidence) -> Diagnosis:
    provider = evidence.provider
    declared = _declared_in_events(provider, evidence.stream_error) if provider is not None else None
    cause, precision = Cause.SERVICE_STREAM_ERROR, Precision.DECLARED
    detail = declared.message if declared is not None else ""
    if provider is not None and declared is not None:
        named = _named(provider, 0, declared)
        cause = named if named is not None else cause
    seen = (
        "an error event stood inside a stream that had begun with status 200",
        *_words_of(declared),
        *_limits(evidence, cause),
    )
    return _say(evidence, cause, precision, detail, seen=seen)


def _declared_in_events(provider: Provider, events: bytes) -> Declared | None:
    for line in events.splitlines():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        declared = provider.read_error(data)
        if declared is not None and (declared.code or declared.type or declared.message):
            return declared
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        response = document.get("response") if isinstance(document, dict) else None
        if isinstance(response, dict) and (declared := provider.read_error(orjson.dumps(response))) is not None:
            return declared
    return None


def _answer(evidence: Evidence) -> Diagnosis:
    head, provider = evidence.head, evidence.provider
    status = head.status if head is not None else 0
    declared = provider.read_error(evidence.text.encode()) if provider is not None and evidence.text else None
    if provider is not None and declared is not None:
        named = _named(provider, status, declared)
        precision = Precision.DECLARED if named is not None else Precision.INFERRED
        cause = named or provider.by_status.get(status, Cause.UNKNOWN)
        seen = (
            f"status {status}, written by {provider.name} in its documented error envelope",
            *_words_of(declared),
            *_limits(evidence, cause),
        )
        return _say(evidence, cause, precision, declared.message, seen=seen)
    kind = head.header(b"content-type") if head is not None else None
    start = " ".join(evidence.text.split())[:120]
    seen = (
        f"status {status} with content-type {kind or 'none'}, without the provider's error envelope",
        f"the body begins: {start}" if start else "the body is empty or not readable",
        *_limits(evidence, Cause.UNKNOWN),
    )
    return _say(
        evidence, Cause.UNKNOWN, Precision.INFERRED, f"status {status}, and nothing known fits its body", seen=seen
    )


def _named(provider: Provider, status: int, declared: Declared) -> Cause | None:
    keys = [word for word in (f"{declared.code}/{declared.type}", declared.code, declared.type) if word]
    found = next(
        (cause for key in keys for at in (status, 0) if (cause := provider.declared.get((at, key))) is not None), None
    )
    return provider.refine(status, found, declared)


def _limits(evidence: Evidence, cause: Cause) -> tuple[str, ...]:
    """Say what the provider's headers state about limits, when one was reached."""
    head, provider = evidence.head, evidence.provider
    if head is None or provider is None or (head.status != 429 and not cause.startswith("rate_limit.")):
        return ()
    return tuple(f"its headers say: {_limit(stated)}" for stated in provider.read_limits(head.headers)[:_LIMITS_MAX])


def _limit(stated: StatedLimit) -> str:
    kind = stated.kind.replace("_", " ")
    if stated.remaining is None:
        said = f"a limit of {stated.limit} {kind}"
    else:
        of = "" if stated.limit is None else f" of {stated.limit}"
        said = f"{stated.remaining}{of} {kind} left"
    return said if stated.reset_seconds is None else f"{said}, all back in {_span(stated.reset_seconds)}"


def _span(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _words_of(declared: Declared | None) -> tuple[str, ...]:
    if declared is None:
        return ()
    named = [
        f"{name} {value}"
        for name, value in (("code", declared.code), ("type", declared.type), ("param", declared.param))
        if value
    ]
    said = (f"it says: {declared.message[:_DETAIL_CHARACTERS]}",) if declared.message else ()
    return (*((", ".join(named),) if named else ()), *said)


def _say(
    evidence: Evidence,
    cause: Cause,
    precision: Precision,
    detail: str,
    *,
    seen: tuple[str, ...],
    alternatives: tuple[Cause, ...] = (),
    ruled_out: tuple[Cause, ...] = (),
) -> Diagnosis:
    remedy = ENGLISH[cause]
    facts = {
        "provider": evidence.provider.name if evidence.provider is not None else "",
        "model": evidence.model,
        "host": evidence.host,
        "status": str(evidence.head.status) if evidence.head is not None else "",
        "detail": detail[:_DETAIL_CHARACTERS].rstrip(" ."),
    }
    return Diagnosis(
        cause=cause,
        fault=cause.fault,
        precision=precision,
        title=remedy.title,
        what_happened=fill(remedy, **facts),
        evidence=tuple(line for line in seen if line),
        ruled_out=ruled_out,
        alternatives=alternatives,
        what_to_do=remedy.what_to_do,
    )
