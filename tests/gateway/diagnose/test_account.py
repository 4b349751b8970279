"""From a decision to words about this very call: its facts, its numbers, its evidence."""

from typing import Any

import orjson
import pytest

from gateway.diagnose.account import account
from gateway.diagnose.evidence import CallShape, Certificate, Evidence, History
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Finding
from gateway.diagnose.say import say
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Again, Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI

JSON = (b"content-type", b"application/json")


def _told(cause: Cause, *, how: dict[str, Any] | None = None, **changes: Any) -> Diagnosis:
    values: dict[str, Any] = {"provider": OPENAI, "host": "api.openai.com", "model": "gpt-5", "attempts": 1}
    return account(Observation(Evidence(**(values | changes))), cause, **(how or {}))


def _answer(status: int, message: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    text = orjson.dumps({"error": {"message": message}}).decode()
    return {"head": ReplyHead(status=status, headers=(JSON, *headers)), "text": text}


# facts


def test_the_facts_of_a_call_are_told_apart_from_its_words() -> None:
    facts = dict(_told(Cause.QUOTA_EXHAUSTED, **_answer(429, "No credit.")).facts)
    assert facts["provider"] == "OpenAI"
    assert (facts["model"], facts["host"], facts["status"]) == ("gpt-5", "api.openai.com", "429")
    assert facts["detail"] == "No credit"
    assert facts["billing_page"].startswith("https://")
    assert all(facts.values()), "what is not known is not there"


def test_the_numbers_of_a_refusal_are_facts() -> None:
    message = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130500 tokens."
    facts = dict(_told(Cause.REQUEST_CONTEXT_LENGTH, **_answer(400, message)).facts)
    assert [facts[name].replace(" ", "") for name in ("limit", "requested", "over")] == ["128000", "130500", "2500"]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        (_answer(400, "The words of the answer."), "The words of the answer"),
        ({"failure": NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="of the attempt", sent=False)}, "of the attempt"),
        ({"exception": "Traceback:\n  at x\nhttpx.ReadTimeout: timed out"}, "httpx.ReadTimeout: timed out"),
        ({"how": {"detail": "of a stage"}, **_answer(400, "The words of the answer.")}, "of a stage"),
    ],
    ids=["an answer", "an attempt", "a client", "a stage of ours"],
)  # fmt: skip
def test_the_nearest_words_are_told(changes: dict[str, Any], detail: str) -> None:
    assert dict(_told(Cause.UNKNOWN, **changes).facts)["detail"] == detail


@pytest.mark.parametrize(
    ("exception", "variable"),
    [
        ("OPENAI_API_KEY is not set", "OPENAI_API_KEY"),
        ("bad file in ssl_cert_file=/x", "SSL_CERT_FILE"),
        ("HTTPS_PROXY=http://proxy:3128 refused", "HTTPS_PROXY"),
        ("nothing of that kind", None),
    ],
)
def test_a_variable_that_a_client_names_is_a_fact(exception: str, variable: str | None) -> None:
    assert dict(_told(Cause.UNKNOWN, exception=exception).facts).get("variable") == variable


def test_how_often_it_came_is_what_this_gateway_counted() -> None:
    assert "count" not in dict(_told(Cause.UNKNOWN).facts)
    assert dict(_told(Cause.UNKNOWN, attempts=3).facts)["count"] == "3"
    assert dict(_told(Cause.UNKNOWN, attempts=3, history=History(same_body=9)).facts)["count"] == "9"


# waiting


def test_waiting_helps_where_the_cause_can_pass_by_itself() -> None:
    for cause in Cause:
        assert _told(cause).waiting_helps is (cause.again is not Again.NEVER)


def test_a_stated_wait_is_that_of_the_answer_and_never_ours() -> None:
    stated = _answer(429, "no", (b"retry-after", b"3600"))
    told = _told(Cause.RATE_LIMIT_DAILY, **stated)
    assert (told.wait_seconds, told.waiting_helps, dict(told.facts)["wait"]) == (3600.0, True, "60 min")
    ours = _told(Cause.PROXY_QUEUE_FULL, how={"detail": "our queue is full"}, **stated)
    assert (ours.wait_seconds, "wait" in dict(ours.facts)) == (None, False)


# who


def test_the_product_is_named_by_whatever_shows_it() -> None:
    assert _told(Cause.UNKNOWN).vendor == ""
    assert _told(Cause.UNKNOWN, certificate=Certificate(issuer="CN=Zscaler Root CA,O=Zscaler Inc.")).vendor == "Zscaler"
    assert _told(Cause.UNKNOWN, exception="ssl error behind Zscaler").vendor == "Zscaler"
    assert _told(Cause.UNKNOWN, **_answer(500, "Zscaler")).vendor == ""


def test_nobody_is_the_author_where_nobody_answered() -> None:
    failure = NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="", sent=False)
    assert _told(Cause.NETWORK_TLS_HANDSHAKE, failure=failure).author == ""
    assert _told(Cause.SERVICE_SERVER_ERROR, **_answer(500, "no")).author == "provider"


# evidence


def test_what_the_finding_adds_is_told_and_what_it_repeats_is_not() -> None:
    seen = {"how": {"finding": Finding(Basis.SHOWN, "a redirect to a login")}}
    assert "a redirect to a login" in _told(Cause.NETWORK_CAPTIVE_PORTAL, **seen).evidence
    for text in ("its words", "the client's words", "status 500", "the code x"):
        told = _told(Cause.UNKNOWN, how={"finding": Finding(Basis.SAID, text)}, **_answer(500, "no"))
        assert text not in told.evidence


def test_the_way_is_told_when_it_was_not_a_direct_one() -> None:
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.PROXY_DENIED, detail="no", sent=False)
    told = _told(Cause.NETWORK_PROXY_DENIED, failure=failure, proxy="proxy.corp:3128", addresses=("198.18.0.7",))
    assert "the way led through the proxy proxy.corp:3128" in told.evidence
    assert any("198.18.0.7" in line for line in told.evidence)


def test_addresses_that_worked_are_no_evidence() -> None:
    told = _told(Cause.QUOTA_EXHAUSTED, addresses=("162.159.140.245",), **_answer(429, "No credit."))
    assert not any("162.159.140.245" in line for line in told.evidence)


def test_a_stream_that_was_held_back_is_told() -> None:
    before = History(held_back_seconds=42.0)
    told = _told(Cause.CLIENT_TIMEOUT_TOO_SHORT, history=before, call=CallShape(stream=True))
    assert any("42 s" in line and "holds streams back" in line for line in told.evidence)
    assert not any(
        "holds streams back" in line for line in _told(Cause.CLIENT_TIMEOUT_TOO_SHORT, history=before).evidence
    )


def test_our_own_refusals_need_no_evidence_of_others() -> None:
    told = _told(Cause.PROXY_NOT_ALLOWED, how={"detail": "model gpt-5 is not allowed here"}, **_answer(500, "no"))
    assert (told.evidence, told.ruled_out, told.author) == ((), (), "")
    assert "gpt-5 is not allowed" in told.what_happened


def test_clues_that_the_engine_adds_stand_first() -> None:
    told = _told(
        Cause.PROXY_INTERNAL_ERROR,
        how={"clues": (Clue("whygate's own diagnosis failed with {detail}", (("detail", "KeyError"),)),)},
    )
    assert told.evidence[0] == "whygate's own diagnosis failed with KeyError"


def test_an_alternative_is_never_ruled_out_as_well() -> None:
    aside = (
        (Cause.RATE_LIMIT_UNKNOWN, Finding(Basis.STATUS, "status 429")),
        (Cause.QUOTA_EXHAUSTED, Finding(Basis.SAID, "x")),
    )
    told = _told(
        Cause.RATE_LIMIT_REQUESTS,
        how={
            "finding": Finding(Basis.SAID, "x"),
            "alternatives": (Cause.QUOTA_EXHAUSTED,),
            "aside": aside,
            "precision": Precision.INFERRED,
        },
        **_answer(429, "no"),
    )
    assert {one.cause for one in told.ruled_out} >= {Cause.RATE_LIMIT_UNKNOWN, Cause.NETWORK_BLOCKED_PAGE}
    assert Cause.QUOTA_EXHAUSTED not in {one.cause for one in told.ruled_out}


# languages


@pytest.mark.parametrize("language", ["en", "zh", "it"])
def test_the_same_verdict_can_be_said_in_another_language(language: str) -> None:
    told = _told(Cause.QUOTA_EXHAUSTED, **_answer(429, "No credit."))
    other = say(told, language)
    assert other.language == language
    assert (other.cause, other.facts, other.clues) == (told.cause, told.facts, told.clues)
    assert len(other.evidence) == len(told.evidence)
    assert (other.title == told.title) is (language == "en")
    assert say(other) == told


def test_a_language_that_nobody_speaks_is_answered_in_english() -> None:
    told = _told(Cause.QUOTA_EXHAUSTED, **_answer(429, "No credit."))
    assert say(told, "tlh").title == told.title
