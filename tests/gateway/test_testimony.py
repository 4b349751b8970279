"""From what happened on the path to evidence: the shape of a call without its secrets, and what stood around it."""

import gzip
from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest

from gateway.diagnose.recent import Happened
from gateway.model.attempt import Attempt, Mark, ReplyHead
from gateway.model.call import Call, Origin
from gateway.model.cause import Cause, Precision
from gateway.model.decision import Forward
from gateway.model.diagnosis import Diagnosis
from gateway.model.exchange import Admitted, Answered, Outcome
from gateway.model.failure import NetCode, NetFailure, Phase, Surroundings
from gateway.model.route import Route
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.azure_openai import PROVIDER as AZURE
from gateway.providers.gemini import PROVIDER as GEMINI
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.testimony import credential, evidence_of, happened, history, shape_of, stated_seconds, surroundings
from tests.gateway.factories import HandClock, a_call, a_route, stages

JSON = (b"content-type", b"application/json")
PAGE = "<html><title>Web Page Blocked!</title><p>FortiGuard Intrusion Prevention - Access Blocked</p></html>"
FOREIGN = Origin("https", "example.com", 443)


def _call(**changes: Any) -> Call:
    return a_call(**changes)


def _with(*headers: tuple[bytes, bytes], **changes: Any) -> Call:
    return a_call(headers=((b"host", b"api.openai.com"), *headers), **changes)


# the shape


def test_the_shape_of_a_call_tells_what_was_asked() -> None:
    body = b'{"model":"gpt-5","stream":true,"max_completion_tokens":500,"messages":[{"role":"user","content":"hello"}]}'
    call = _with(
        (b"authorization", b"Bearer sk-test"),
        JSON,
        (b"openai-organization", b"org-1"),
        (b"x-stainless-retry-count", b"2"),
        target=b"/v1/chat/completions?api-version=2026-01-01&x=1",
        body=body,
    )
    shape = shape_of(call, a_route(call))
    assert (shape.method, shape.path) == ("POST", "/v1/chat/completions")
    assert (shape.credential, shape.organization, shape.content_type) == ("bearer", True, "application/json")
    assert (shape.size_bytes, shape.stream, shape.retries) == (len(body), True, 2)
    assert (shape.plain, shape.notes) == (False, "")
    assert shape.input_tokens > 0


def test_the_shape_of_an_empty_call_is_empty() -> None:
    call = a_call(method="GET", target=b"/v1/models", headers=((b"host", b"api.openai.com"),), body=b"")
    shape = shape_of(call, a_route(call))
    assert (shape.credential, shape.organization, shape.content_type, shape.size_bytes) == ("none", False, "", 0)
    assert (shape.stream, shape.retries) == (False, 0)


def test_no_secret_and_no_prompt_is_in_the_evidence_of_a_call() -> None:
    call = _with(
        (b"authorization", b"Bearer sk-very-secret-value"),
        (b"openai-organization", b"org-secret-value"),
        (b"x-api-key", b"another-secret-value"),
        (b"cookie", b"session-secret-value"),
        target=b"/v1/chat/completions?key=query-secret-value",
        body=b'{"model":"gpt-5","messages":[{"role":"user","content":"prompt-secret-value"}]}',
    )
    evidence = evidence_of(stages(), call, a_route(call))
    assert "secret-value" not in repr(asdict(evidence.call))
    assert "secret-value" not in repr((evidence.history, evidence.model, evidence.host, evidence.text))


def test_a_plain_way_is_told() -> None:
    call = _call()
    assert shape_of(call, a_route(call, upstream=Origin("http", "127.0.0.1", 11434))).plain


# credentials


@pytest.mark.parametrize(
    ("header", "value", "form"),
    [
        (b"authorization", b"Bearer sk-test", "bearer"),
        (b"authorization", b"bearer sk-test", "bearer"),
        (b"authorization", b"Basic dXNlcjpwYXNz", "bearer"),
        (b"authorization", b"Bearer  sk-test", "bearer"),
        (b"authorization", b"sk-test", "bare"),
        (b"authorization", b"Token sk-test", "bare"),
        (b"authorization", b"Bearer", "blank"),
        (b"authorization", b"Bearer ", "blank"),
        (b"authorization", b"Bearer sk- test", "blank"),
        (b"authorization", b"Bearer Bearer sk-test", "blank"),
        (b"authorization", b"Bearer sk-test\n", "blank"),
        (b"authorization", b" Bearer sk-test", "blank"),
        (b"authorization", b"", "blank"),
        (b"x-other", b"sk-test", "none"),
    ],
)
def test_how_a_credential_stands_there_is_told(header: bytes, value: bytes, form: str) -> None:
    assert credential({header: value}, OPENAI, "") == form


@pytest.mark.parametrize(
    ("provider", "header"), [(ANTHROPIC, b"x-api-key"), (AZURE, b"api-key"), (GEMINI, b"x-goog-api-key")]
)
def test_a_key_needs_no_scheme_where_its_header_has_none(provider: Any, header: bytes) -> None:
    assert credential({header: b"sk-test"}, provider, "") == "key"
    assert credential({header: b"sk-test "}, provider, "") == "blank"
    assert credential({header: b""}, provider, "") == "blank"


def test_the_most_special_header_counts() -> None:
    assert credential({b"x-api-key": b"k", b"authorization": b"sk-test"}, ANTHROPIC, "") == "key"
    assert credential({b"authorization": b"sk-test"}, ANTHROPIC, "") == "bare"


def test_a_key_may_stand_in_the_query() -> None:
    assert credential({}, GEMINI, "alt=sse&key=AIza") == "key"
    assert credential({}, GEMINI, "alt=sse") == "none"
    assert credential({}, OPENAI, "key=AIza") == "none"


def test_a_parameter_whose_name_ends_like_a_keys_is_none() -> None:
    assert credential({}, GEMINI, "monkey=1") == "none"


# evidence


def test_an_answer_is_read_as_text_whatever_it_was_packed_in() -> None:
    call = _call()
    head = ReplyHead(status=503, headers=(JSON, (b"content-encoding", b"gzip")))
    evidence = evidence_of(stages(), call, a_route(call), head=head, body=gzip.compress(b'{"error":"no"}'))
    assert evidence.text == '{"error":"no"}'
    assert evidence_of(stages(), call, a_route(call), head=head, body=b"\x00\x01").text == ""
    assert evidence_of(stages(), call, a_route(call), head=head).text == ""


def test_a_call_for_no_provider_has_none() -> None:
    call = _call(origin=FOREIGN)
    made = stages()
    route = made.identifier.route(call)
    assert route is None
    foreign = a_route(provider=_nameless())
    assert evidence_of(made, call, foreign).provider is None
    known = a_route()
    assert evidence_of(made, call, known).provider is known.provider


def _nameless() -> Any:
    return replace(OPENAI, name="")


def test_what_was_tried_is_counted_and_kept() -> None:
    call = _call()
    tried = (Attempt(number=1, waited_seconds=0.0, marks=(), head=None, failure=None),) * 2
    evidence = evidence_of(stages(), call, a_route(call), attempts=tried, waited_seconds=3.0, client_left=True)
    assert (evidence.attempts, evidence.tried, evidence.waited_seconds, evidence.client_left) == (2, tried, 3.0, True)


# surroundings


def test_what_the_proxy_answered_is_the_proxys() -> None:
    seen = Surroundings(proxy="proxy.corp:3128", status=403, headers=((b"server", b"squid"),), text="no")
    found = surroundings(seen, answered=False)
    assert (found["stage"], found["text"], found["proxy"]) == ("proxy", "no", "proxy.corp:3128")
    assert found["head"] == ReplyHead(status=403, headers=((b"server", b"squid"),))


def test_the_page_of_a_product_behind_a_bad_certificate_is_an_answer() -> None:
    seen = Surroundings(issuer="O=Fortinet", subject="CN=api.openai.com", status=403, headers=((b"content-type", b"text/html"),), text=PAGE)  # fmt: skip
    found = surroundings(seen, answered=False)
    assert (found["stage"], found["text"]) == ("", PAGE)
    assert (found["certificate"].issuer, found["certificate"].subject) == ("O=Fortinet", "CN=api.openai.com")


def test_any_other_answer_behind_a_bad_certificate_is_not_worth_a_word() -> None:
    seen = Surroundings(issuer="CN=Some CA", status=404, text="404 page not found")
    found = surroundings(seen, answered=False)
    assert not {"head", "text", "stage"} & found.keys()
    assert found["certificate"].issuer == "CN=Some CA"


def test_nobody_elses_answer_counts_when_the_host_itself_had_answered() -> None:
    seen = Surroundings(status=403, text=PAGE, addresses=("1.2.3.4",))
    found = surroundings(seen, answered=True)
    assert not {"head", "text", "stage"} & found.keys()
    assert found["addresses"] == ("1.2.3.4",)


def test_evidence_of_a_failure_holds_what_stood_around_it() -> None:
    call = _call()
    seen = Surroundings(proxy="proxy.corp:3128", status=407, headers=(), text="who are you")
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.PROXY_AUTH, detail="407", sent=False, around=seen)
    evidence = evidence_of(stages(), call, a_route(call), failure=failure)
    assert evidence.head is not None
    assert (evidence.stage, evidence.head.status, evidence.text) == ("proxy", 407, "who are you")
    own = ReplyHead(status=200, headers=())
    evidence = evidence_of(stages(), call, a_route(call), failure=failure, head=own)
    assert (evidence.head, evidence.stage, evidence.text) == (own, "", "")


# what the app says


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), 0.0),
        (((b"x-whygate-timeout-ms", b"1500"),), 1.5),
        (((b"x-stainless-read-timeout", b"600"),), 600.0),
        (((b"x-stainless-timeout", b"60"),), 60.0),
        (((b"x-whygate-timeout-ms", b"9000"), (b"x-stainless-timeout", b"60")), 9.0),
        (((b"x-whygate-timeout-ms", b"soon"), (b"x-stainless-timeout", b"60")), 60.0),
        (((b"x-stainless-timeout", b"0"),), 0.0),
        (((b"x-stainless-timeout", b"-5"),), 0.0),
        (((b"x-stainless-timeout", b"inf"),), 0.0),
        (((b"x-stainless-timeout", b"nan"),), 0.0),
        (((b"x-stainless-timeout", b"\xff"),), 0.0),
    ],
)
def test_how_long_the_app_waits_is_what_it_says(headers: tuple[tuple[bytes, bytes], ...], seconds: float) -> None:
    assert stated_seconds(_with(*headers)) == seconds


# history


def _over(
    call: Call, route: Route, *, head: ReplyHead | None = None, diagnosis: Diagnosis | None = None, left: bool = False
) -> Answered:
    marks = (
        Mark(Phase.CONNECT, 0.0, 100.0, ok=True),
        Mark(Phase.TLS, 100.0, 250.0, ok=True),
        Mark(Phase.BODY, 250.0, 900.0, ok=True),
    )
    attempt = Attempt(number=1, waited_seconds=0.0, marks=marks, head=head, failure=None)
    return Answered(
        admitted=Admitted(call=call, route=route, decision=Forward()),
        attempts=(attempt,),
        outcome=Outcome(head=head, diagnosis=diagnosis, client_left=left),
    )


def _verdict(cause: Cause, wait: float | None) -> Diagnosis:
    return Diagnosis(
        cause=cause, fault=cause.fault, precision=Precision.DECLARED, title="", what_happened="", wait_seconds=wait
    )


SPENT = ReplyHead(
    status=429,
    headers=(
        (b"x-ratelimit-limit-requests", b"500"),
        (b"x-ratelimit-remaining-requests", b"7"),
        (b"set-cookie", b"session-secret"),
    ),
)


def test_what_the_history_keeps_of_a_call_is_times_and_fingerprints() -> None:
    call = _call()
    route = a_route(call)
    cause = Cause.RATE_LIMIT_REQUESTS
    kept = happened(_over(call, route, head=SPENT, diagnosis=_verdict(cause, 20.0)), cause.value, 1007.0)
    assert (kept.at, kept.host, kept.model, kept.cause) == (1007.0, "api.openai.com", "gpt-5", cause.value)
    assert (kept.seconds, kept.connect_seconds, kept.size_bytes) == (7.0, 0.25, len(call.body))
    assert (kept.limits, kept.read_limits) == (SPENT.headers[:2], route.provider.read_limits)
    assert (kept.stated_wait, kept.left, kept.retries) == (20.0, False, 0)
    assert kept.body == hash((call.target, call.body))
    assert "sk-test" not in repr(kept)
    assert "session-secret" not in repr(kept), "only headers that tell of limits"
    assert "hello" not in repr(kept)


def test_a_call_that_went_well_is_no_storm() -> None:
    call = _call()
    assert happened(_over(call, a_route(call)), None, 1001.0).body == 0


def test_what_a_good_answer_says_is_left_is_kept() -> None:
    """How fast the provider's count falls is seen on the calls that went through."""
    call = _call()
    good = ReplyHead(status=200, headers=SPENT.headers)
    kept = happened(_over(call, a_route(call), head=good), None, 1001.0)
    assert [one.remaining for one in kept.read_limits(kept.limits) if one.kind == "requests"] == [7]


@pytest.mark.parametrize(
    ("first", "end", "size", "held"),
    [
        (1012.0, 1012.005, 40_000, 12.0),
        (1000.4, 1012.0, 40_000, 0.0),
        (1000.2, 1000.201, 40_000, 0.0),
        (1012.0, 1012.001, 900, None),
    ],
    ids=["all at once", "as it was written", "a quick one", "too short to tell"],
)
def test_a_stream_that_was_held_back_on_the_way_is_known_by_its_haste(
    first: float, end: float, size: int, held: float | None
) -> None:
    call = _call(body=b'{"model": "gpt-5", "stream": true, "messages": []}')
    over = _over(call, a_route(call), head=ReplyHead(status=200, headers=()))
    over = replace(over, outcome=replace(over.outcome, first_byte_at=first, bytes_out=size))
    assert happened(over, None, end).held_back_seconds == (None if held is None else pytest.approx(held))
    assert happened(over, Cause.SERVICE_STREAM_ERROR.value, end).held_back_seconds is None
    again = replace(over, attempts=over.attempts * 2)
    assert happened(again, None, end).held_back_seconds is None, "the silence may have been of the first attempt"


def test_an_app_that_left_is_kept_as_one() -> None:
    call = _call()
    assert happened(_over(call, a_route(call), left=True), Cause.CLIENT_DISCONNECTED.value, 1030.0).left


def test_a_very_large_body_has_no_fingerprint() -> None:
    call = _call(body=b"x" * 2_000_000)
    kept = happened(_over(call, a_route()), Cause.SERVICE_OVERLOADED.value, 1001.0)
    assert (kept.body, kept.size_bytes) == (0, 2_000_000)


def test_apps_are_told_apart_by_where_they_come_from_and_what_they_are() -> None:
    route = a_route()

    def client_of(**changes: Any) -> str:
        return happened(_over(_call(**changes), route), None, 1001.0).client

    usual = client_of()
    assert client_of(client="127.0.0.1:50999") == usual, "another connection of the same machine"
    assert client_of(client="10.0.0.7:50123") != usual
    assert client_of(headers=((b"user-agent", b"other/1"),)) != usual


def test_the_history_of_a_call_is_of_its_own_host_and_key() -> None:
    clock = HandClock()
    made = stages(clock=clock)
    call = _call()
    route = a_route(call)
    assert history(made, call, route).key_worked_seconds is None
    made.recent.note(happened(_over(call, route), None, clock.now()))
    clock.seconds += 30
    assert history(made, call, route).key_worked_seconds == 30.0
    other = _with((b"authorization", b"Bearer sk-other"))
    assert history(made, other, a_route(other)).key_worked_seconds is None
    assert history(made, other, a_route(other)).other_key_works


def test_what_is_kept_fits_what_is_looked_for() -> None:
    made = stages()
    call = _call()
    route = a_route(call)
    for at in range(3):
        kept = happened(_over(call, route), Cause.SERVICE_OVERLOADED.value, made.clock.now() - 9 + at)
        assert isinstance(kept, Happened)
        made.recent.note(kept)
    seen = history(made, call, route)
    assert seen.same_body == 4
    other = _call(body=orjson.dumps({"model": "gpt-5", "messages": []}))
    assert history(made, other, a_route(other)).same_body == 0
    elsewhere = a_route(call, target=b"/v1/completions")
    assert history(made, call, elsewhere).same_body == 0
