"""The verdict: every cause that a table names is reached, and nothing whatever makes the engine fail."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.diagnose import engine
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause, Precision
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Provider
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.openai import PROVIDER as OPENAI

JSON = (b"content-type", b"application/json")
PROVIDERS = {"openai": OPENAI, "anthropic": ANTHROPIC}


def _say(**changes: Any) -> Diagnosis:
    values: dict[str, Any] = {"provider": OPENAI, "host": "api.openai.com", "model": "gpt-5", "attempts": 1}
    return diagnose(Evidence(**(values | changes)))


def _answer(status: int, document: object, provider: Provider = OPENAI) -> Diagnosis:
    head = ReplyHead(status=status, headers=(JSON,))
    return _say(provider=provider, head=head, text=orjson.dumps(document).decode())


def _failure(code: NetCode, phase: Phase = Phase.CONNECT, *, sent: bool = False) -> NetFailure:
    return NetFailure(phase=phase, code=code, detail="the words of it", sent=sent)


def _envelope(provider: Provider, code: str, kind: str, message: str = "no") -> dict[str, Any]:
    if provider is OPENAI:
        return {"error": {"code": code or None, "type": kind or None, "message": message, "param": None}}
    if "limit_reached" in code:
        return {"type": "error", "error": {"type": "x", "message": message, "details": {"error_code": code}}}
    return {"type": "error", "error": {"type": code or kind, "message": message}}


# every table is reached


@pytest.mark.parametrize(
    ("name", "status", "code", "cause"),
    [(name, status, code, cause) for name, p in PROVIDERS.items() for (status, code), cause in p.declared.items()],
)
def test_a_declared_code_has_its_declared_cause(name: str, status: int, code: str, cause: Cause) -> None:
    word, _, kind = code.partition("/")
    verdict = _answer(status or 418, _envelope(PROVIDERS[name], word, kind), PROVIDERS[name])
    assert (verdict.cause, verdict.precision) == (cause, Precision.DECLARED)
    assert word in " ".join(verdict.evidence)


@pytest.mark.parametrize(
    ("name", "status", "cause"), [(name, s, cause) for name, p in PROVIDERS.items() for s, cause in p.by_status.items()]
)
def test_an_envelope_without_a_known_code_is_read_by_its_status_and_only_inferred(
    name: str, status: int, cause: Cause
) -> None:
    verdict = _answer(status, _envelope(PROVIDERS[name], "", "unheard_of"), PROVIDERS[name])
    assert (verdict.cause, verdict.precision) == (cause, Precision.INFERRED)


@pytest.mark.parametrize("code", NetCode)
@pytest.mark.parametrize("phase", Phase)
def test_a_failure_below_http_has_one_cause(code: NetCode, phase: Phase) -> None:
    verdict = _say(failure=_failure(code, phase))
    expected = engine._IN_BODY.get(code) if phase is Phase.BODY else None
    assert verdict.cause is (expected or engine._BY_CODE[code])
    assert verdict.precision is Precision.INFERRED
    assert verdict.cause not in verdict.ruled_out
    assert any("the words of it" in line for line in verdict.evidence)


@pytest.mark.parametrize("cause", Cause)
def test_what_a_stage_of_ours_refused_keeps_the_cause_it_gave(cause: Cause) -> None:
    verdict = _say(refused=Refuse(cause=cause, status=429, why="for this reason"), client_left=True)
    assert (verdict.cause, verdict.fault, verdict.precision) == (cause, cause.fault, Precision.DECLARED)
    assert verdict.title
    assert verdict.what_to_do


# which question comes first


def test_a_bug_of_ours_is_never_blamed_on_anybody_else() -> None:
    verdict = _say(internal_error="KeyError in whygate itself", failure=_failure(NetCode.DNS_FAILURE), client_left=True)
    assert verdict.cause is Cause.PROXY_INTERNAL_ERROR


def test_an_app_that_left_is_not_a_failure_of_the_other_side() -> None:
    head = ReplyHead(status=200, headers=())
    verdict = _say(client_left=True, waited_seconds=3.21, head=head, failure=_failure(NetCode.CONNECTION_RESET))
    assert verdict.cause is Cause.CLIENT_DISCONNECTED
    assert any("3.2 s" in line for line in verdict.evidence)
    assert any("status 200" in line for line in verdict.evidence)
    assert "had not been asked yet" in " ".join(_say(client_left=True, attempts=0).evidence)
    assert "had not answered yet" in " ".join(_say(client_left=True).evidence)


def test_it_says_whether_the_request_may_have_arrived() -> None:
    assert any("never sent" in line for line in _say(failure=_failure(NetCode.CONNECTION_REFUSED)).evidence)
    reset = _say(failure=_failure(NetCode.CONNECTION_RESET, Phase.FIRST_BYTE, sent=True))
    assert any("may have reached" in line for line in reset.evidence)
    assert Cause.NETWORK_DNS_FAILURE in reset.ruled_out


def test_what_fits_as_well_is_named() -> None:
    assert _say(failure=_failure(NetCode.TLS_UNTRUSTED_ISSUER)).alternatives == (Cause.NETWORK_TLS_INSPECTION,)
    assert _say(failure=_failure(NetCode.NETWORK_UNREACHABLE)).alternatives == (Cause.NETWORK_IPV6_BROKEN,)


# answers that are not the provider's


@pytest.mark.parametrize(
    "text", ["", "<html>Access denied</html>", '{"error": "no"}', "null", "upstream connect error"]
)
@pytest.mark.parametrize("status", [200, 403, 404, 429, 500, 503])
def test_a_status_without_the_providers_envelope_proves_nothing(status: int, text: str) -> None:
    verdict = _say(head=ReplyHead(status=status, headers=((b"content-type", b"text/html"),)), text=text)
    assert (verdict.cause, verdict.fault) == (Cause.UNKNOWN, None)
    assert f"status {status}" in verdict.evidence[0]


def test_an_envelope_that_says_nothing_known_is_unknown() -> None:
    assert _answer(418, _envelope(OPENAI, "teapot", "")).cause is Cause.UNKNOWN


# what its headers say of limits

_SPENT = (
    (b"x-ratelimit-limit-requests", b"500"),
    (b"x-ratelimit-remaining-requests", b"0"),
    (b"x-ratelimit-reset-requests", b"12s"),
    (b"x-ratelimit-remaining-tokens", b"29985"),
    (b"x-ratelimit-limit-tokens", b"junk"),
)
_SAID = [
    "its headers say: 0 of 500 requests left, all back in 12 s",
    "its headers say: 29985 tokens left",
]


def _headers_said(verdict: Diagnosis) -> list[str]:
    return [line for line in verdict.evidence if "headers say" in line]


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (429, orjson.dumps(_envelope(OPENAI, "rate_limit_exceeded", "requests")).decode(), _SAID),
        (429, "<html>slow down</html>", _SAID),
        (413, orjson.dumps(_envelope(OPENAI, "rate_limit_exceeded", "tokens")).decode(), _SAID),
        (400, orjson.dumps(_envelope(OPENAI, "invalid_value", "")).decode(), []),
        (500, "", []),
    ],
)
def test_a_reached_limit_is_shown_with_what_the_headers_say_of_it(status: int, text: str, said: list[str]) -> None:
    assert _headers_said(_say(head=ReplyHead(status=status, headers=(JSON, *_SPENT)), text=text)) == said


def test_a_limit_reached_inside_a_stream_is_shown_with_the_headers_of_its_start() -> None:
    events = b'data: {"error":{"message":"no","code":"rate_limit_exceeded"}}\n\n'
    assert _headers_said(_say(stream_error=events, head=ReplyHead(status=200, headers=_SPENT))) == _SAID


def test_a_limit_is_told_in_words_that_people_use() -> None:
    headers = (
        (b"date", b"Fri, 20 Nov 2026 10:00:00 GMT"),
        (b"anthropic-ratelimit-input-tokens-limit", b"30000"),
        (b"anthropic-ratelimit-input-tokens-reset", b"2026-11-20T13:00:00Z"),
        (b"anthropic-ratelimit-requests-remaining", b"3"),
        (b"anthropic-ratelimit-requests-reset", b"2026-11-20T10:06:00Z"),
        (b"anthropic-ratelimit-tokens-remaining", b"4"),
        (b"anthropic-ratelimit-tokens-reset", b"2026-11-20T10:00:00.25Z"),
    )
    assert _headers_said(_say(provider=ANTHROPIC, head=ReplyHead(status=429, headers=headers))) == [
        "its headers say: 3 requests left, all back in 6 min",
        "its headers say: 4 tokens left, all back in 0.25 s",
        "its headers say: a limit of 30000 input tokens, all back in 3 h",
    ]


# streams


@pytest.mark.parametrize(
    ("provider", "events", "cause"),
    [
        (OPENAI, b'data: {"error":{"message":"no","type":"server_error","code":null}}\n\n', Cause.SERVICE_SERVER_ERROR),
        (
            OPENAI,
            b'event: response.failed\r\ndata: {"response":{"error":{"code":"rate_limit_exceeded","message":"no"}}}\r\n\r\n',
            Cause.RATE_LIMIT_UNKNOWN,
        ),
        (
            ANTHROPIC,
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
            Cause.SERVICE_OVERLOADED,
        ),
        (OPENAI, b'data: {"error":{"message":"no","code":"unheard_of"}}\n\n', Cause.SERVICE_STREAM_ERROR),
        (OPENAI, b"data: nothing of use\n\n", Cause.SERVICE_STREAM_ERROR),
        (None, b'data: {"error":{}}\n\n', Cause.SERVICE_STREAM_ERROR),
    ],
)
def test_an_error_inside_a_stream_is_read_like_any_other(
    provider: Provider | None, events: bytes, cause: Cause
) -> None:
    assert _say(provider=provider, stream_error=events, head=ReplyHead(status=200, headers=())).cause is cause


def test_a_stream_without_its_end_mark_is_truncated() -> None:
    verdict = _say(stream_truncated=True, head=ReplyHead(status=200, headers=()))
    assert (verdict.cause, verdict.precision) == (Cause.SERVICE_STREAM_TRUNCATED, Precision.INFERRED)


# promises


_TEXT = st.text(max_size=200) | st.binary(max_size=200).map(lambda body: body.decode("utf-8", "replace"))
_BODY = _TEXT | st.builds(
    lambda provider, code, kind, message: orjson.dumps(_envelope(provider, code, kind, message)).decode(),
    st.sampled_from([OPENAI, ANTHROPIC]),
    st.sampled_from(["", "insufficient_quota", "rate_limit_error", "x"]),
    st.sampled_from(["", "tokens", "server_error"]),
    _TEXT.filter(lambda text: text.isprintable()),
)
_EVIDENCE = st.builds(
    Evidence,
    provider=st.sampled_from([None, OPENAI, ANTHROPIC]),
    host=_TEXT,
    model=_TEXT,
    head=st.none()
    | st.builds(
        ReplyHead,
        status=st.integers(0, 999),
        headers=st.lists(
            st.tuples(
                st.sampled_from([b"content-type", b"date", *(name for name, _ in _SPENT)]),
                st.binary(max_size=20) | st.sampled_from([b"0", b"500", b"12s"]),
            ),
            max_size=5,
        ).map(tuple),
    ),
    text=_BODY,
    failure=st.none()
    | st.builds(
        NetFailure, phase=st.sampled_from(Phase), code=st.sampled_from(NetCode), detail=_TEXT, sent=st.booleans()
    ),
    refused=st.none() | st.builds(Refuse, cause=st.sampled_from(Cause), status=st.integers(0, 999), why=_TEXT),
    stream_error=st.just(b"") | st.binary(max_size=200) | _BODY.map(lambda text: b"data: " + text.encode()),
    stream_truncated=st.booleans(),
    client_left=st.booleans(),
    waited_seconds=st.floats(),
    attempts=st.integers(0, 5),
    internal_error=st.none() | _TEXT,
)


@settings(max_examples=300)
@given(evidence=_EVIDENCE)
def test_every_evidence_has_exactly_one_verdict_the_same_each_time(evidence: Evidence) -> None:
    verdict = diagnose(evidence)
    assert verdict == diagnose(evidence)
    assert verdict.fault is verdict.cause.fault
    assert verdict.title
    assert verdict.what_to_do
    assert verdict.sentence().strip()
    assert verdict.cause not in verdict.alternatives
    assert sum(map(len, verdict.evidence)) < 2_000


@given(order=st.permutations([JSON, (b"date", b"now"), (b"server", b"x"), (b"x-request-id", b"1")]))
def test_the_order_of_headers_changes_nothing(order: list[tuple[bytes, bytes]]) -> None:
    text = orjson.dumps(_envelope(OPENAI, "insufficient_quota", "")).decode()
    verdict = _say(head=ReplyHead(status=429, headers=tuple(order)), text=text)
    assert verdict == _answer(429, _envelope(OPENAI, "insufficient_quota", ""))


def test_secrets_in_a_message_are_bounded_and_on_one_line() -> None:
    verdict = _answer(400, _envelope(OPENAI, "invalid_value", "", "a\nb\r\n" + "x" * 10_000))
    assert "\n" not in verdict.what_happened
    assert len(verdict.what_happened) < 1_000


def test_how_long_a_verdict_takes() -> None:
    """Printed, not asserted: the budget is 5 ms."""
    text = orjson.dumps(_envelope(OPENAI, "insufficient_quota", "", "x" * 60_000)).decode()
    evidence = Evidence(provider=OPENAI, host="h", head=ReplyHead(status=429, headers=(JSON,)), text=text, attempts=1)
    began = time.perf_counter()
    for _ in range(100):
        diagnose(evidence)
    print(f"a verdict on 60 KiB takes {(time.perf_counter() - began) * 10:.3f} ms")
