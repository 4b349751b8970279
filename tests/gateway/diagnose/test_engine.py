"""The verdict: every cause that a table names is reached, and nothing whatever makes the engine fail or talk too much."""

import re
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway._discover import discover
from gateway.diagnose import engine
from gateway.diagnose.author import Author
from gateway.diagnose.engine import ALTERNATIVES_MAX, RULES, Candidate, diagnose, weigh
from gateway.diagnose.evidence import CallShape, Certificate, Evidence, History
from gateway.diagnose.rule import Basis, Finding, Layer
from gateway.model.attempt import Attempt, Mark, ReplyHead
from gateway.model.cause import Cause, Precision
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Provider

PROVIDERS = {one.name: one for one in discover("gateway.providers", "PROVIDER", Provider).values()}
OPENAI, ANTHROPIC, GEMINI = PROVIDERS["openai"], PROVIDERS["anthropic"], PROVIDERS["gemini"]
JSON = (b"content-type", b"application/json")
HTML = (b"content-type", b"text/html")
WINDOW_CHARACTERS = 65_536


def _say(**changes: Any) -> Diagnosis:
    values: dict[str, Any] = {"provider": OPENAI, "host": "api.openai.com", "model": "gpt-5", "attempts": 1}
    return diagnose(Evidence(**(values | changes)))


def _answer(status: int, document: object, provider: Provider = OPENAI, **changes: Any) -> Diagnosis:
    head = ReplyHead(status=status, headers=(JSON,))
    host = provider.hosts[0].replace("*", "mine") if provider.hosts else "relay.example"
    return _say(
        **({"provider": provider, "host": host, "head": head, "text": orjson.dumps(document).decode()} | changes)
    )


def _failure(code: NetCode, phase: Phase = Phase.CONNECT, *, sent: bool = False) -> NetFailure:
    return NetFailure(phase=phase, code=code, detail="the words of it", sent=sent)


def _envelope(provider: Provider, code: str, kind: str = "", message: str = "no") -> dict[str, Any]:
    """Give an error in the shape in which the provider writes this code."""
    if provider is ANTHROPIC:
        if "limit_reached" in code:
            return {"type": "error", "error": {"type": "x", "message": message, "details": {"error_code": code}}}
        return {"type": "error", "error": {"type": code or kind, "message": message}}
    if provider is GEMINI and code.isupper():
        return {"error": {"code": 400, "status": code, "message": message}}
    return {"error": {"code": code or None, "type": kind or None, "message": message, "param": None}}


# every table of every provider is reached


SAYS_MORE: dict[tuple[int, str], Cause] = {
    # Without a word about access it is the model that is unknown; with one, the table's own cause: see below.
    (403, "model_not_found"): Cause.REQUEST_MODEL_NOT_FOUND,
    # OpenAI gives this code to prompts that its policy flagged, and the routers before it pass it on.
    (0, "invalid_prompt"): Cause.REQUEST_CONTENT_POLICY,
}
"""Codes for which a more special rule rightly decides other than a provider's table."""


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_declared_code_has_its_declared_cause(name: str) -> None:
    provider = PROVIDERS[name]
    wrong: dict[tuple[int, str], str] = {}
    for (status, code), cause in provider.declared.items():
        word, _, kind = code.partition("/")
        verdict = _answer(status or 418, _envelope(provider, word, kind), provider)
        expected = SAYS_MORE.get((status, code), cause)
        if (verdict.cause, verdict.precision) != (cause, Precision.DECLARED) and verdict.cause is not expected:
            wrong[status, code] = f"{verdict.cause.value}, {verdict.precision.value}; {expected.value} is declared"
        if word not in " ".join(verdict.evidence):
            wrong[status, code] = f"the code is not shown: {verdict.evidence}"
    assert wrong == {}


def test_every_exception_from_the_tables_is_needed() -> None:
    """An exception that no table speaks of would hide the next one."""
    for key, cause in SAYS_MORE.items():
        declared = {one.declared[key] for one in PROVIDERS.values() if key in one.declared}
        assert declared - {cause}, key


def test_a_model_that_is_refused_for_want_of_access_is_a_matter_of_permission() -> None:
    message = "Project `proj_1` does not have access to model `gpt-5`"
    verdict = _answer(403, _envelope(OPENAI, "model_not_found", "invalid_request_error", message))
    assert (verdict.cause, verdict.precision) == (Cause.AUTH_PERMISSION, Precision.DECLARED)


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_envelope_without_a_known_code_is_read_by_its_status_and_only_inferred(name: str) -> None:
    provider = PROVIDERS[name]
    wrong: dict[int, str] = {}
    for status, cause in provider.by_status.items():
        verdict = _answer(status, _envelope(provider, "", "unheard_of"), provider)
        if (verdict.cause, verdict.precision) != (cause, Precision.INFERRED):
            wrong[status] = f"{verdict.cause.value}, {verdict.precision.value}; {cause.value} is documented"
    assert wrong == {}


# below HTTP


BELOW_HTTP: dict[NetCode, Cause] = {
    NetCode.DNS_FAILURE: Cause.NETWORK_DNS_FAILURE,
    NetCode.DNS_TIMEOUT: Cause.NETWORK_DNS_FAILURE,
    NetCode.NETWORK_UNREACHABLE: Cause.NETWORK_OFFLINE,
    NetCode.CONNECTION_REFUSED: Cause.NETWORK_TCP_REFUSED,
    NetCode.CONNECT_TIMEOUT: Cause.NETWORK_TCP_TIMEOUT,
    NetCode.CONNECTION_RESET: Cause.NETWORK_CONNECTION_RESET,
    NetCode.TLS_CERTIFICATE: Cause.NETWORK_TLS_CERTIFICATE,
    NetCode.TLS_UNTRUSTED_ISSUER: Cause.NETWORK_TLS_INSPECTION,
    NetCode.TLS_HANDSHAKE: Cause.NETWORK_TLS_HANDSHAKE,
    NetCode.TLS_REFUSED: Cause.NETWORK_TLS_HANDSHAKE,
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
IN_THE_BODY: dict[NetCode, Cause] = {
    NetCode.CONNECTION_RESET: Cause.NETWORK_STREAM_INTERRUPTED,
    NetCode.READ_TIMEOUT: Cause.SERVICE_STREAM_STALLED,
}
"""The same failure, once the answer had begun."""


def test_the_table_of_this_test_knows_every_failure() -> None:
    assert set(BELOW_HTTP) == set(NetCode)


@pytest.mark.parametrize("code", NetCode)
@pytest.mark.parametrize("phase", Phase)
def test_a_failure_below_http_has_one_cause(code: NetCode, phase: Phase) -> None:
    verdict = _say(failure=_failure(code, phase))
    expected = IN_THE_BODY.get(code) if phase is Phase.BODY else None
    assert verdict.cause is (expected or BELOW_HTTP[code])
    assert verdict.cause not in {one.cause for one in verdict.ruled_out}
    assert any("the words of it" in line for line in (verdict.what_happened, *verdict.evidence))


@pytest.mark.parametrize("code", [NetCode.TRUNCATED, NetCode.CONNECTION_RESET])
def test_an_event_stream_that_is_cut_was_interrupted_on_the_way(code: NetCode) -> None:
    head = ReplyHead(status=200, headers=((b"content-type", b"text/event-stream"),))
    assert _say(failure=_failure(code, Phase.BODY, sent=True), head=head).cause is Cause.NETWORK_STREAM_INTERRUPTED


def test_it_says_whether_the_request_may_have_arrived() -> None:
    assert any("never sent" in line for line in _say(failure=_failure(NetCode.CONNECTION_REFUSED)).evidence)
    reset = _say(failure=_failure(NetCode.CONNECTION_RESET, Phase.FIRST_BYTE, sent=True))
    assert any("may have reached" in line for line in reset.evidence)


@pytest.mark.parametrize(
    ("code", "phase"),
    [
        (NetCode.TLS_CERTIFICATE, Phase.TLS),
        (NetCode.PROTOCOL_ERROR, Phase.FIRST_BYTE),
        (NetCode.READ_TIMEOUT, Phase.BODY),
    ],
)
def test_the_healthy_address_of_a_network_with_ipv6_alone_is_no_cause(code: NetCode, phase: Phase) -> None:
    plain = _say(failure=_failure(code, phase))
    there = _say(failure=_failure(code, phase), addresses=("64:ff9b::a29f:8c35",))
    assert (there.cause, there.precision) == (plain.cause, plain.precision)


# what a stage of ours says


@pytest.mark.parametrize("cause", Cause)
def test_what_a_stage_of_ours_refused_keeps_the_cause_it_gave(cause: Cause) -> None:
    verdict = _say(refused=Refuse(cause=cause, status=429, why="for this reason"), client_left=True)
    assert (verdict.cause, verdict.fault, verdict.precision) == (cause, cause.fault, Precision.DECLARED)
    assert verdict.title
    assert verdict.what_to_do
    assert (verdict.author, verdict.wait_seconds, verdict.ruled_out) == ("", None, ())


# which question comes first


def test_a_bug_of_ours_is_never_blamed_on_anybody_else() -> None:
    verdict = _say(internal_error="KeyError in whygate itself", failure=_failure(NetCode.DNS_FAILURE), client_left=True)
    assert (verdict.cause, verdict.precision) == (Cause.PROXY_INTERNAL_ERROR, Precision.DECLARED)
    assert "KeyError" in verdict.what_happened


def test_a_bug_in_a_rule_is_a_verdict_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(RULES, Cause.QUOTA_EXHAUSTED, replace(RULES[Cause.QUOTA_EXHAUSTED], match=bug))
    verdict = _answer(429, _envelope(OPENAI, "insufficient_quota"))
    assert verdict.cause is Cause.PROXY_INTERNAL_ERROR
    assert any("ZeroDivisionError" in line for line in verdict.evidence)
    assert "no verdict" in caplog.text


def test_an_app_that_left_is_not_a_failure_of_the_other_side() -> None:
    head = ReplyHead(status=503, headers=())
    verdict = _say(client_left=True, waited_seconds=3.21, head=head, failure=_failure(NetCode.CONNECTION_RESET))
    assert verdict.cause is Cause.CLIENT_DISCONNECTED
    assert any("3.2 s" in line for line in verdict.evidence)
    assert any("status 503" in line for line in verdict.evidence)
    assert "had not been asked yet" in " ".join(_say(client_left=True, attempts=0).evidence)
    assert "had not answered yet" in " ".join(_say(client_left=True).evidence)


def test_that_the_app_left_was_seen_and_is_not_inferred() -> None:
    assert _say(client_left=True).precision is Precision.DECLARED


def test_an_app_that_left_at_its_own_stated_time_was_impatient() -> None:
    verdict = _say(client_left=True, waited_seconds=10.1, stated_seconds=10.0)
    assert (verdict.cause, verdict.precision) == (Cause.CLIENT_TIMEOUT_TOO_SHORT, Precision.DECLARED)
    assert _say(client_left=True, waited_seconds=4.0, stated_seconds=10.0).cause is Cause.CLIENT_DISCONNECTED


def test_who_wrote_an_answer_is_asked_before_its_status_is_read() -> None:
    page = (
        "<html><title>Zscaler</title><p>Access to this website was blocked by your company policy. Zscaler</p></html>"
    )
    verdict = _say(head=ReplyHead(status=503, headers=(HTML,)), text=page)
    assert verdict.cause is Cause.NETWORK_BLOCKED_PAGE
    assert Cause.SERVICE_UNAVAILABLE not in verdict.alternatives
    assert verdict.author == "middlebox"


def test_what_stood_inside_a_stream_goes_before_what_the_stream_was() -> None:
    events = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    verdict = _say(provider=ANTHROPIC, stream_error=events, head=ReplyHead(status=200, headers=()))
    assert verdict.cause is Cause.SERVICE_OVERLOADED


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_incident_confirms_an_answer_that_names_nothing(status: int) -> None:
    verdict = _say(incident="Elevated errors", head=ReplyHead(status=status, headers=()))
    assert (verdict.cause, verdict.precision) == (Cause.SERVICE_INCIDENT, Precision.CONFIRMED)
    assert any("Elevated errors" in line for line in verdict.evidence)


@pytest.mark.parametrize(
    "code",
    [
        NetCode.DNS_FAILURE,
        NetCode.NETWORK_UNREACHABLE,
        NetCode.TLS_UNTRUSTED_ISSUER,
        NetCode.PROXY_UNREACHABLE,
        NetCode.PROXY_AUTH,
        NetCode.PROXY_DENIED,
    ],
)
def test_an_incident_explains_nothing_that_fails_before_the_provider(code: NetCode) -> None:
    verdict = _say(incident="Elevated errors", failure=_failure(code))
    assert verdict.cause is BELOW_HTTP[code]


def test_an_incident_is_no_excuse_for_a_bad_key() -> None:
    assert (
        _answer(401, _envelope(OPENAI, "invalid_api_key"), incident="Elevated errors").cause is Cause.AUTH_INVALID_KEY
    )


# weighing


_CANDIDATES = st.lists(
    st.builds(
        lambda cause, basis: Candidate(RULES[cause], Finding(basis, "seen")),
        st.sampled_from(sorted(RULES)),
        st.sampled_from(Basis),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda one: (one.rule.cause, one.finding.basis),
)


def _slugs(found: list[Candidate]) -> list[tuple[Cause, Basis]]:
    return [(one.rule.cause, one.finding.basis) for one in found]


@given(found=_CANDIDATES, data=st.data())
def test_the_order_of_candidates_changes_nothing(found: list[Candidate], data: st.DataObject) -> None:
    before = list(found)
    verdict = weigh(found)
    assert found == before, "weighing is pure"
    assert weigh(data.draw(st.permutations(found))) == verdict


@given(found=_CANDIDATES)
def test_a_status_never_beats_anything_that_was_shown(found: list[Candidate]) -> None:
    winner = weigh(found).winner
    assert winner is not None
    if any(one.finding.basis > Basis.STATUS for one in found):
        assert winner.finding.basis > Basis.STATUS


@given(found=_CANDIDATES)
def test_who_outranks_the_winner_is_outranked_itself(found: list[Candidate]) -> None:
    winner = weigh(found).winner
    assert winner is not None
    strong = [one for one in found if one.finding.basis > Basis.STATUS] or found
    for other in strong:
        if engine._outranks(other, winner):
            assert any(engine._outranks(third, other) for third in strong), _slugs([winner, other])


@given(found=_CANDIDATES)
def test_alternatives_are_few_and_never_the_winner_nor_set_aside(found: list[Candidate]) -> None:
    verdict = weigh(found)
    assert verdict.winner is not None
    winner = verdict.winner.rule
    assert len(verdict.alternatives) == len(set(verdict.alternatives)) <= ALTERNATIVES_MAX
    assert winner.cause not in verdict.alternatives
    aside = {one.rule.cause for one in verdict.aside}
    assert not aside & {winner.cause, *verdict.alternatives}
    for cause in verdict.alternatives:
        assert RULES[cause].layer is winner.layer
        assert RULES[cause].general == winner.general
        assert not engine._outranks(verdict.winner, Candidate(RULES[cause], Finding(Basis.NAMED, "")))


def test_nothing_found_is_no_winner() -> None:
    assert weigh([]) == (None, (), ())


def _found(cause: Cause, basis: Basis) -> Candidate:
    return Candidate(RULES[cause], Finding(basis, "seen"))


def test_precedence_goes_before_strength() -> None:
    weaker, stronger = _found(Cause.RATE_LIMIT_DAILY, Basis.SAID), _found(Cause.RATE_LIMIT_REQUESTS, Basis.NAMED)
    assert weigh([stronger, weaker]).winner == weaker


def test_what_an_app_did_wrong_goes_before_what_a_network_did() -> None:
    client, network = (
        _found(Cause.CLIENT_CA_NOT_TRUSTED, Basis.SHOWN),
        _found(Cause.SERVICE_PROTOCOL_ERROR, Basis.NAMED),
    )
    assert weigh([network, client]).winner == client
    assert [one.rule.cause for one in weigh([network, client]).aside] == [Cause.SERVICE_PROTOCOL_ERROR]


def test_a_cause_that_covers_others_gives_way_even_where_it_is_the_stronger() -> None:
    general, special = _found(Cause.REQUEST_NOT_FOUND, Basis.NAMED), _found(Cause.AUTH_NOT_A_MEMBER, Basis.SAID)
    assert weigh([general, special]).winner == special


def test_of_equals_the_one_wins_that_the_catalogue_names_first_and_the_other_is_an_alternative() -> None:
    one, other = _found(Cause.QUOTA_EXHAUSTED, Basis.SAID), _found(Cause.REQUEST_API_VERSION, Basis.SAID)
    verdict = weigh([other, one])
    assert (verdict.winner, verdict.alternatives) == (one, (Cause.REQUEST_API_VERSION,))


# how sure it is


@pytest.mark.parametrize(
    ("changes", "cause", "precision"),
    [
        ({"head": ReplyHead(status=402, headers=(JSON,)), "text": '{"error": {"message": "pay"}}'}, Cause.QUOTA_EXHAUSTED, Precision.INFERRED),
        ({"head": ReplyHead(status=429, headers=(JSON,)), "text": '{"error": {"message": "You have run out of credits."}}'}, Cause.QUOTA_EXHAUSTED, Precision.INFERRED),
        ({"head": ReplyHead(status=429, headers=(JSON,)), "text": '{"error": {"code": "insufficient_quota", "message": "no"}}'}, Cause.QUOTA_EXHAUSTED, Precision.DECLARED),
        ({"failure": _failure(NetCode.TLS_UNTRUSTED_ISSUER, Phase.TLS)}, Cause.NETWORK_TLS_INSPECTION, Precision.INFERRED),
        ({"failure": _failure(NetCode.TLS_UNTRUSTED_ISSUER, Phase.TLS), "certificate": Certificate(issuer="CN=Zscaler Intermediate Root CA,O=Zscaler Inc.")}, Cause.NETWORK_TLS_INSPECTION, Precision.CONFIRMED),
        ({"failure": _failure(NetCode.CONNECT_TIMEOUT), "addresses": ("198.18.0.7",)}, Cause.NETWORK_VPN_INTERFERENCE, Precision.CONFIRMED),
    ],
    ids=["a status", "words", "a code", "an untrusted issuer", "a product's issuer", "a client's own address"],
)  # fmt: skip
def test_a_verdict_says_how_sure_it_is(changes: dict[str, Any], cause: Cause, precision: Precision) -> None:
    verdict = _say(**changes)
    assert (verdict.cause, verdict.precision) == (cause, precision)


def test_a_product_that_is_named_by_the_certificate_is_the_vendor() -> None:
    issuer = "CN=Zscaler Intermediate Root CA,O=Zscaler Inc."
    verdict = _say(failure=_failure(NetCode.TLS_UNTRUSTED_ISSUER, Phase.TLS), certificate=Certificate(issuer=issuer))
    assert verdict.vendor == "Zscaler"
    assert any(issuer in line for line in verdict.evidence)


# answers that are not the provider's


@pytest.mark.parametrize(
    ("status", "text", "cause"),
    [
        (404, "", Cause.UNKNOWN),
        (418, "short and stout", Cause.UNKNOWN),
        (500, "", Cause.SERVICE_SERVER_ERROR),
        (502, "", Cause.SERVICE_UNAVAILABLE),
        (503, "null", Cause.SERVICE_UNAVAILABLE),
        (504, "", Cause.SERVICE_TIMEOUT),
        (429, "", Cause.RATE_LIMIT_UNKNOWN),
        (401, "", Cause.AUTH_INVALID_KEY),
        (403, "", Cause.UNKNOWN),
    ],
)
def test_a_bare_status_says_no_more_than_it_means(status: int, text: str, cause: Cause) -> None:
    verdict = _say(head=ReplyHead(status=status, headers=()), text=text)
    assert (verdict.cause, verdict.precision) == (cause, Precision.INFERRED)
    assert f"status {status}" in verdict.evidence[0]


def test_a_page_that_nobody_signed_proves_little() -> None:
    """A 403 with a web page can be a filter's or an edge's: it is inferred, and never that of a key."""
    verdict = _say(head=ReplyHead(status=403, headers=(HTML,)), text="<html><body><h1>No</h1></body></html>")
    assert verdict.precision is Precision.INFERRED
    assert not verdict.cause.startswith(("auth.", "account.", "quota.", "request."))


def test_an_envelope_that_says_nothing_known_is_unknown() -> None:
    assert _answer(418, _envelope(OPENAI, "teapot")).cause is Cause.UNKNOWN


def test_a_host_that_is_nobodys_is_a_relay_when_it_writes_an_envelope() -> None:
    verdict = _answer(429, _envelope(OPENAI, "insufficient_quota"), PROVIDERS["openai_compatible"])
    assert (verdict.cause, verdict.author) == (Cause.QUOTA_EXHAUSTED, "relay")


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
        (400, orjson.dumps(_envelope(OPENAI, "invalid_value")).decode(), []),
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
        "its headers say: 4 tokens left, all back in 250 ms",
        "its headers say: a limit of 30000 input tokens, all back in 3 h",
    ]


def test_a_stated_wait_is_told_and_kept() -> None:
    headers = (JSON, (b"retry-after", b"7"))
    verdict = _say(head=ReplyHead(status=429, headers=headers), text=orjson.dumps(_envelope(OPENAI, "x")).decode())
    assert verdict.wait_seconds == 7.0
    assert "it says to wait 7 s" in verdict.evidence


def test_a_window_that_opens_again_is_worth_waiting_for_only_when_somebody_says_how_long() -> None:
    text = orjson.dumps(_envelope(ANTHROPIC, "rate_limit_error", "", "You have reached your weekly limit.")).decode()
    silent = _say(provider=ANTHROPIC, head=ReplyHead(status=429, headers=()), text=text)
    stated = _say(provider=ANTHROPIC, head=ReplyHead(status=429, headers=((b"retry-after", b"3600"),)), text=text)
    assert (silent.cause, silent.waiting_helps) == (Cause.QUOTA_PLAN_WINDOW, False)
    assert (stated.cause, stated.waiting_helps) == (Cause.QUOTA_PLAN_WINDOW, True)


# what it is not


def _excluded(verdict: Diagnosis) -> dict[Cause, str]:
    return {one.cause: one.why for one in verdict.ruled_out}


@pytest.mark.parametrize(
    ("phase", "excluded"),
    [
        (Phase.DNS, set()),
        (Phase.CONNECT, {Cause.NETWORK_DNS_FAILURE}),
        (Phase.TLS, {Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_REFUSED, Cause.NETWORK_TCP_TIMEOUT}),
        (Phase.FIRST_BYTE, {Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE}),
    ],
)
def test_what_a_phase_has_passed_is_ruled_out(phase: Phase, excluded: set[Cause]) -> None:
    verdict = _say(failure=_failure(NetCode.CONNECTION_RESET, phase))
    assert _excluded(verdict) == dict.fromkeys(excluded, "that phase went well")


def test_a_refusal_of_the_proxy_says_nothing_of_the_way_behind_it() -> None:
    assert _excluded(_say(failure=_failure(NetCode.PROXY_DENIED, Phase.TLS))) == {}


def test_what_only_its_status_would_speak_for_is_ruled_out_with_that_reason() -> None:
    verdict = _answer(429, _envelope(OPENAI, "insufficient_quota"))
    assert _excluded(verdict)[Cause.RATE_LIMIT_UNKNOWN] == "only its status 429 would speak for it"
    assert _excluded(verdict)[Cause.NETWORK_BLOCKED_PAGE] == "the provider itself answered"


def test_what_has_words_of_its_own_is_set_aside_and_not_called_excluded() -> None:
    message = "Rate limit reached for gpt-5 on requests per day (RPD): Limit 200, Used 200."
    verdict = _answer(429, _envelope(OPENAI, "rate_limit_exceeded", "requests", message))
    assert verdict.cause is Cause.RATE_LIMIT_DAILY
    assert Cause.RATE_LIMIT_REQUESTS not in (*_excluded(verdict), *verdict.alternatives)


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


@pytest.mark.parametrize("changes", [{"stream_truncated": True}, {"client_left": True}])
def test_nothing_is_told_twice(changes: dict[str, Any]) -> None:
    lines = _say(head=ReplyHead(status=200, headers=()), **changes).evidence
    assert len(set(lines)) == len(lines)
    assert not [(one, other) for one in lines for other in lines if one != other and other.startswith(one)]


# promises


SECRETS = (
    "sk-proj-Zq8Xw3Lr5Tn7Vb2Kd9Hm4Gc6",
    "sk-ant-api03-Yp4Rt8Wq2Zx6Cv1Bn5Mk9Lj3",
    "AIzaSyD4Fh7Jk2Lp9Qw5Er8Ty1Ui6Op3As0Dg4H",
    "gsk_Ab9Cd2Ef7Gh1Ij6Kl3Mn8Op4Qr5St0Uv",
    "Bearer 7f3e9a1c5b8d2460e7f3a9c1b5d80246",
    "https://bob:hunter2hunter2@proxy.example:3128/",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.s5Xq9Lm2Pw7Rt4Zv",
)
_CORES = tuple(
    found[0]
    for secret in SECRETS
    for found in [re.search(r"(?<=Bearer )\w+|hunter2hunter2|(?<=\.)s5X\w+|(?:sk-|AIza|gsk_)[\w-]+", secret)]
    if found is not None
)
"""Of each secret what nobody may read."""

_PLAIN = st.text(max_size=120) | st.binary(max_size=200).map(lambda body: body.decode("utf-8", "replace"))
_SAYS = st.sampled_from(
    (
        *("model not found", "rate limit reached, try again in 7m12s", "Invalid API key", "quota exceeded per day"),
        *("maximum context length is 8192 tokens. However, you requested 9000 tokens", "certificate verify failed"),
        *(
            "Access denied",
            "overloaded",
            "connect timeout",
            "upstream connect error",
            "余额不足",
            "country not supported",
        ),
        *("httpx.ReadTimeout: The read operation timed out", "Received HTTP code 407 from proxy after CONNECT"),
    )
)
_WORDS = st.lists(_PLAIN | _SAYS | st.sampled_from(SECRETS), max_size=3).map(" ".join)
_WIRE = _WORDS.map(lambda text: text.encode("utf-8", "replace")[:300])


def _packed(provider: Provider, code: str, kind: str, message: str, param: str) -> str:
    document = _envelope(provider, code, kind, message)
    document["error"]["param"] = param
    return orjson.dumps(document).decode()


_SENT = st.text(max_size=100).filter(lambda text: text.isprintable())
_BODY = (
    _WORDS
    | st.builds(
        _packed,
        st.sampled_from([OPENAI, ANTHROPIC, GEMINI]),
        st.sampled_from(
            ["", "insufficient_quota", "rate_limit_error", "RESOURCE_EXHAUSTED", "model_not_found", *SECRETS]
        ),
        st.sampled_from(["", "tokens", "server_error"]),
        _SAYS | _SENT | st.sampled_from(SECRETS),
        st.sampled_from(["", "messages.0", *SECRETS]),
    )
    | st.builds("<html><title>{}</title><p>{}</p></html>".format, _SAYS, _WORDS)
)
_FLOATS = st.floats(0, 1e9)
_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *(b"date", b"server", b"location", b"retry-after", b"retry-after-ms", b"cf-ray"),
                *(
                    b"cf-mitigated",
                    b"via",
                    b"x-should-retry",
                    b"www-authenticate",
                    b"proxy-authenticate",
                    b"set-cookie",
                ),
                *(b"x-amzn-errortype", b"openai-processing-ms", b"x-whygate-flow-id"),
                *(name for name, _ in _SPENT),
            )
        ),
        _WIRE | st.sampled_from([b"0", b"500", b"12s", b"text/html", b"text/event-stream", b"cloudflare"]),
    )
    | st.tuples(st.just(b"content-type"), st.sampled_from([b"text/html", b"text/event-stream", b"application/json"])),
    max_size=6,
    unique_by=lambda pair: pair[0],
).map(tuple)
_HEAD = st.builds(ReplyHead, status=st.sampled_from([0, 101, 200, 302, 400, 401, 403, 404, 407, 413, 422, 429, 500, 502, 503, 529]) | st.integers(0, 999), headers=_HEADERS)  # fmt: skip
_FAILURE = st.builds(
    NetFailure, phase=st.sampled_from(Phase), code=st.sampled_from(NetCode), detail=_WORDS, sent=st.booleans()
)
_SECONDS = st.floats(0, 1e6)
_HISTORY = st.builds(
    History,
    key_worked_seconds=st.none() | _SECONDS,
    other_key_works=st.booleans(),
    host_worked_seconds=st.none() | _SECONDS,
    host_failed_since_seconds=st.none() | _SECONDS,
    others_fail=st.booleans(),
    others_work=st.booleans(),
    same_body=st.integers(0, 99),
    restarts=st.integers(0, 99),
    sent_since_limit=st.integers(0, 99),
    remaining_fell=st.integers(0, 99),
    retry_after_ignored=st.booleans(),
    usual_seconds=_SECONDS,
    gave_up_seconds=_SECONDS,
    usual_connect_seconds=_SECONDS,
    small_passed=st.booleans(),
)
_CALL = st.builds(
    CallShape,
    method=st.sampled_from(["", "GET", "POST"]),
    path=_PLAIN,
    plain=st.booleans(),
    credential=st.sampled_from(["", "none", "bearer", "key", "bare", "blank"]),
    organization=st.booleans(),
    content_type=st.sampled_from(["", "text/plain", "application/json"]),
    size_bytes=st.integers(0, 10**9),
    retries=st.integers(0, 9),
    notes=_WORDS,
)
_TRIED = st.builds(
    Attempt,
    number=st.integers(1, 5),
    waited_seconds=_SECONDS,
    marks=st.lists(st.builds(Mark, st.sampled_from(Phase), _FLOATS, _FLOATS, st.booleans()), max_size=4).map(tuple),
    head=st.none() | _HEAD,
    failure=st.none() | _FAILURE,
)
_EVIDENCE = st.builds(
    Evidence,
    provider=st.sampled_from([None, *PROVIDERS.values()]),
    host=st.sampled_from(["", "api.openai.com", "localhost", "10.0.0.1", "::1", "x"]) | _PLAIN,
    model=st.sampled_from(["", "gpt-5"]),
    call=_CALL,
    head=st.none() | _HEAD,
    text=_BODY,
    stage=st.sampled_from(["", "proxy", "tls", "tcp", "dns", "http"]),
    failure=st.none() | _FAILURE,
    exception=st.just("") | _WORDS,
    tried=st.lists(_TRIED, max_size=3).map(tuple),
    certificate=st.builds(
        Certificate, subject=_PLAIN, issuer=_PLAIN | st.sampled_from(["CN=Zscaler Root CA", "O=DigiCert Inc", "CN=localhost"])
    ),
    addresses=st.lists(
        _PLAIN | st.sampled_from(["1.2.3.4", "198.18.0.7", "0.0.0.0", "64:ff9b::1", "10.1.1.1", "::"]), max_size=3
    ).map(tuple),
    proxy=st.sampled_from(["", "proxy.corp:3128"]),
    refused=st.none() | st.builds(Refuse, cause=st.sampled_from(Cause), status=st.integers(0, 999), why=_WORDS),
    stream_error=st.just(b"") | st.binary(max_size=200) | _BODY.map(lambda text: b"data: " + text.encode("utf-8", "replace")),
    stream_truncated=st.booleans(),
    client_left=st.booleans(),
    waited_seconds=_SECONDS,
    stated_seconds=_SECONDS,
    attempts=st.integers(0, 5),
    internal_error=st.none() | _WORDS,
    incident=st.just("") | _PLAIN,
    history=_HISTORY,
)  # fmt: skip


_NAMES = re.compile(r"\{(\w+)\}")


def _without_bugs_of_ours(evidence: Evidence) -> Evidence:
    """Give an evidence that the rules have to look at."""
    return replace(evidence, refused=None, internal_error=None)


@settings(max_examples=300, deadline=None)
@given(evidence=_EVIDENCE)
def test_every_evidence_has_exactly_one_verdict_the_same_each_time(evidence: Evidence) -> None:
    for seen in (evidence, _without_bugs_of_ours(evidence)):
        verdict = diagnose(seen)
        assert verdict == diagnose(seen)
        assert verdict.cause in Cause
        assert verdict.fault is verdict.cause.fault
        assert verdict.title
        assert verdict.what_to_do
        assert verdict.sentence().strip()
        assert verdict.cause not in verdict.alternatives
        excluded = [one.cause for one in verdict.ruled_out]
        assert len(set(excluded)) == len(excluded)
        assert not {verdict.cause, *verdict.alternatives} & set(excluded)
        assert all(one.why for one in verdict.ruled_out)
        assert all(set(_NAMES.findall(clue.text)) <= dict(clue.facts).keys() for clue in verdict.clues)
        if seen.internal_error is None and seen.refused is None:
            assert verdict.cause is not Cause.PROXY_INTERNAL_ERROR, verdict.evidence


@settings(max_examples=100, deadline=None)
@given(evidence=_EVIDENCE.map(_without_bugs_of_ours), data=st.data())
def test_order_and_case_of_headers_change_nothing(evidence: Evidence, data: st.DataObject) -> None:
    if evidence.head is None:
        return
    order = data.draw(st.permutations(evidence.head.headers))
    turned = replace(evidence, head=replace(evidence.head, headers=tuple(order)))
    assert diagnose(turned) == diagnose(evidence)
    loud = tuple((name.upper(), value) for name, value in evidence.head.headers if not name.startswith(b"x-ratelimit"))
    quiet = tuple((name, value) for name, value in evidence.head.headers if not name.startswith(b"x-ratelimit"))
    first, second = (diagnose(replace(evidence, head=replace(evidence.head, headers=some))) for some in (quiet, loud))
    assert second == first


@pytest.mark.parametrize(
    "text",
    [
        "",
        "upstream connect error or disconnect/reset before headers",
        "<html><title>Sorry</title><p>Access denied by policy</p></html>",
        '{"error":{"code":"insufficient_quota","type":"insufficient_quota","message":"You exceeded your current quota."}}',
    ],
    ids=["nothing", "a mesh", "a page", "an envelope"],
)
@pytest.mark.parametrize("noise", ["x", "{}", "<p>Zscaler</p>", "rate limit per day "])
def test_noise_behind_the_window_changes_nothing(text: str, noise: str) -> None:
    start = text.ljust(WINDOW_CHARACTERS)
    head = ReplyHead(status=429, headers=(JSON,))
    quiet, loud = _say(head=head, text=start), _say(head=head, text=start + noise * 1000)
    assert loud.cause is quiet.cause
    assert (loud.precision, loud.vendor, loud.author, loud.alternatives) == (
        quiet.precision,
        quiet.vendor,
        quiet.author,
        quiet.alternatives,
    )


def test_noise_behind_the_window_changes_no_line_of_evidence() -> None:
    start = orjson.dumps(_envelope(OPENAI, "insufficient_quota")).decode().ljust(WINDOW_CHARACTERS)
    head = ReplyHead(status=429, headers=(JSON,))
    assert _say(head=head, text=start + "x").evidence == _say(head=head, text=start).evidence


def test_an_envelope_that_is_cut_by_the_window_still_names_its_code() -> None:
    """FastAPI and what is built on it repeat the whole request behind their message."""
    whole = {"error": {"code": "insufficient_quota", "type": "x", "message": "no", "input": "x" * WINDOW_CHARACTERS}}
    head = ReplyHead(status=429, headers=(JSON,))
    verdict = _say(head=head, text=orjson.dumps(whole).decode()[:WINDOW_CHARACTERS])
    assert (verdict.cause, verdict.precision, verdict.author) == (Cause.QUOTA_EXHAUSTED, Precision.DECLARED, "provider")


def _leaked(verdict: Diagnosis) -> list[str]:
    shown = repr(asdict(verdict)).lower()
    return [core for core in _CORES if core.lower() in shown]


@settings(max_examples=300, deadline=None)
@given(evidence=_EVIDENCE)
def test_no_secret_is_shown_whatever_it_stood_in(evidence: Evidence) -> None:
    assert _leaked(diagnose(evidence)) == []
    assert _leaked(diagnose(_without_bugs_of_ours(evidence))) == []


_HIDDEN_IN: dict[str, Callable[[str], dict[str, Any]]] = {
    "a message": lambda text: {
        "head": ReplyHead(status=401, headers=(JSON,)),
        "text": orjson.dumps(_envelope(OPENAI, "x", "", text)).decode(),
    },
    "a parameter": lambda text: {
        "head": ReplyHead(status=400, headers=(JSON,)),
        "text": orjson.dumps({"error": {"message": "no", "param": text}}).decode(),
    },
    "a page": lambda text: {"head": ReplyHead(status=502, headers=(HTML,)), "text": f"<p>{text}</p>"},
    "a title": lambda text: {"head": ReplyHead(status=502, headers=(HTML,)), "text": f"<title>{text}</title>"},
    "plain text": lambda text: {"head": ReplyHead(status=502, headers=()), "text": text},
    "a content type": lambda text: {"head": ReplyHead(status=502, headers=((b"content-type", text.encode()),))},
    "a location": lambda text: {"head": ReplyHead(status=302, headers=((b"location", text.encode()),))},
    "an exception": lambda text: {"exception": f"httpx.ConnectError: {text}"},
    "a failure": lambda text: {"failure": replace(_failure(NetCode.UNKNOWN), detail=text)},
    "a stream": lambda text: {"head": ReplyHead(status=200, headers=()), "stream_error": f"data: {text}".encode()},
    "a refusal": lambda text: {"refused": Refuse(cause=Cause.PROXY_NOT_ALLOWED, status=403, why=text)},
    "a bug": lambda text: {"internal_error": text},
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", _HIDDEN_IN)
def test_a_secret_is_struck_out_wherever_it_stands(place: str, secret: str) -> None:
    assert _leaked(_say(**_HIDDEN_IN[place](f"your key {secret} is wrong"))) == []


def _longest_part(secret: str, shown: str) -> int:
    sizes = range(len(secret), 0, -1)
    return next(
        (size for size in sizes if any(secret[at : at + size] in shown for at in range(len(secret) - size + 1))), 0
    )


@pytest.mark.parametrize("place", ["a message", "a parameter", "plain text", "an exception", "a refusal", "a bug"])
def test_a_secret_is_struck_out_where_a_text_is_cut(place: str) -> None:
    secret = SECRETS[2]
    worst = 0
    for before in [*range(70, 126, 5), *range(260, 304, 5)]:
        text = "word " * (before // 5) + secret
        worst = max(worst, _longest_part(secret, repr(asdict(_say(**_HIDDEN_IN[place](text))))))
    assert worst <= len("AIza") + 4, f"{worst} characters of a key of {len(secret)} are shown"


@pytest.mark.parametrize("place", _HIDDEN_IN)
def test_what_is_shown_is_bounded_and_each_piece_is_one_line(place: str) -> None:
    verdict = _say(**_HIDDEN_IN[place]("a\nb\r\n" + "x" * 60_000))
    lines = (verdict.what_happened, *verdict.evidence, *verdict.what_to_do, *(one.why for one in verdict.ruled_out))
    assert not [line for line in lines if "\n" in line or "\r" in line]
    assert all(len(line) < 1_000 for line in lines)
    assert sum(map(len, verdict.evidence)) < 2_500


# how long it takes


def _filled(pattern: str) -> str:
    return (pattern * (WINDOW_CHARACTERS // len(pattern) + 1))[:WINDOW_CHARACTERS]


_TEXTS = {
    "a page": _filled("<div><p>Access denied by the policy of your company.</p>"),
    "a page of openings": _filled("<"),
    "a page of open tags": _filled("<a "),
    "a page of scripts": _filled("<script>"),
    "a page of comments": _filled("<!--"),
    "a page of titles": _filled("<title>a| 5"),
    "a page of entities": "<p>" + _filled("&#"),
    "JSON": orjson.dumps({"error": {"message": _filled("the model is not found. ")[:60_000], "code": "x"}}).decode(),
    "JSON of many errors": orjson.dumps([{"error": {"code": f"c{at}", "message": "m"}} for at in range(1500)]).decode(),
    "nested JSON": '{"error":' * 6_500 + "1" + "}" * 6_500,
    "nested arrays": "[" * WINDOW_CHARACTERS,
    "JSON in JSON": orjson.dumps({"error": {"message": _filled('{"a":')[:40_000]}}).decode(),
    "XML": "<Error><Code>x</Code>" + _filled("<Message>"),
    "events": _filled('data: {"error":{"message":"x y z"}}\n\n'),
    "empty events": _filled("data:\n"),
    "repeated words": _filled("model "),
    "sentences": _filled("the model is not found. "),
    "short sentences": _filled("a. "),
    "short lines": _filled("a\n"),
    "numbers": _filled("123,456,789,"),
    "digits": _filled("1"),
    "waits": _filled("try again in 1"),
    "spaces": _filled(" "),
    "dots": _filled("."),
    "joints": _filled("ConnectTimeoutError"),
    "colons": _filled("a:"),
    "addresses": _filled("1.2.3.4 "),
    "keys": _filled("sk-eyJ"),
    "no words": _filled("余额不足"),
}
_KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "429": lambda text: {"head": ReplyHead(status=429, headers=()), "text": text},
    "400": lambda text: {"head": ReplyHead(status=400, headers=()), "text": text},
    "503": lambda text: {"head": ReplyHead(status=503, headers=()), "text": text},
    "200": lambda text: {"head": ReplyHead(status=200, headers=()), "text": text},
    "stream": lambda text: {"head": ReplyHead(status=200, headers=()), "stream_error": text.encode()},
    "exception": lambda text: {"exception": text},
}
BOUND_MS = 250.0


@pytest.mark.parametrize("name", _TEXTS)
def test_no_text_makes_a_verdict_slow(name: str) -> None:
    """The bound catches patterns that run away; how long each takes is printed."""
    took: dict[str, float] = {}
    for kind, make in _KINDS.items():
        evidence = Evidence(provider=OPENAI, host="api.openai.com", attempts=1, **make(_TEXTS[name]))
        took[kind] = min(_milliseconds(evidence) for _ in range(2))
    print(f"64 KiB of {name}: " + ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in took.items()))
    assert max(took.values()) < BOUND_MS, took


def _milliseconds(evidence: Evidence) -> float:
    began = time.process_time()
    diagnose(evidence)
    return (time.process_time() - began) * 1000


def test_how_long_an_ordinary_verdict_takes() -> None:
    """Printed, not asserted: the budget is 5 ms."""
    text = orjson.dumps(_envelope(OPENAI, "insufficient_quota", "", "You exceeded your current quota.")).decode()
    evidence = Evidence(provider=OPENAI, host="h", head=ReplyHead(status=429, headers=(JSON,)), text=text, attempts=1)
    took = min(_milliseconds(evidence) for _ in range(20))
    print(f"an ordinary verdict takes {took:.2f} ms")


# the rules that the engine holds


def test_a_rule_that_may_not_read_an_author_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Author] = []
    rule = RULES[Cause.QUOTA_EXHAUSTED]
    monkeypatch.setitem(
        RULES,
        rule.cause,
        replace(rule, match=lambda seen: asked.append(seen.author)),
    )
    page = "<html><p>Attention Required! | Cloudflare. Sorry, you have been blocked. insufficient balance</p></html>"
    _say(head=ReplyHead(status=403, headers=(HTML,)), text=page)
    assert asked == []
    _answer(403, _envelope(OPENAI, "insufficient_quota"))
    assert [one.kind for one in asked] == ["provider"]


def test_there_are_rules_of_every_layer() -> None:
    assert {rule.layer for rule in RULES.values()} == set(Layer)
