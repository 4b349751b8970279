"""What others learn from one answer: the limits, the account, and whether everybody shall wait."""

import json
from typing import Any

import pytest

from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.lessons import lesson, refusal_of
from gateway.limit.refusal import is_pacing
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.diagnosis import Diagnosis
from gateway.model.provider import StatedLimit
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.gemini import PROVIDER as GEMINI
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.testimony import evidence_of
from tests.gateway.factories import a_call, a_route, an_identifier, stages
from tests.gateway.record.made import a_diagnosis

JSON = (b"content-type", b"application/json")
IDENTIFIER = an_identifier()
PACING = [cause for cause in Cause if is_pacing(cause)]


def _head(status: int = 429, *headers: tuple[bytes, bytes]) -> ReplyHead:
    return ReplyHead(status=status, headers=(JSON, *headers))


def _error(message: str, code: str = "rate_limit_exceeded", kind: str = "requests") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def _judged(head: ReplyHead, body: bytes) -> Diagnosis:
    """Give the verdict that the path would give."""
    call = a_call()
    evidence: Evidence = evidence_of(stages(), call, a_route(call), attempts=(), head=head, body=body)
    return diagnose(evidence)


# which answers are a refusal


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("cause", PACING)
def test_a_refusal_for_speed_is_one_whichever_of_the_three_statuses_it_has(status: int, cause: Cause) -> None:
    found = refusal_of(_head(status), a_diagnosis(cause, wait_seconds=7.0))
    assert found is not None
    assert (found.cause, found.wait_seconds, found.stated) == (cause, 7.0, ())


@pytest.mark.parametrize("status", [400, 401, 403, 408, 413, 500, 502, 504])
def test_other_statuses_hold_nobody_whatever_they_mean(status: int) -> None:
    assert refusal_of(_head(status), a_diagnosis(Cause.RATE_LIMIT_REQUESTS, wait_seconds=7.0)) is None


def test_a_refusal_inside_a_good_status_is_one_like_any_other() -> None:
    """Of a stream whose first event it is, or of a relay that answers everything with 200."""
    found = refusal_of(_head(200), a_diagnosis(Cause.RATE_LIMIT_TOKENS, wait_seconds=7.0))
    assert found is not None
    assert (found.kind, found.wait_seconds) == ("tokens", 7.0)


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause not in PACING])
def test_what_waiting_in_a_queue_does_not_cure_holds_nobody(cause: Cause) -> None:
    """A day's limit, a quota, an edge that throttles an address, an overloaded service."""
    assert refusal_of(_head(429), a_diagnosis(cause, wait_seconds=7.0)) is None


def test_a_call_that_is_larger_than_the_whole_limit_says_nothing_about_others() -> None:
    too_large = (("limit", "30000"), ("requested", "45000"))
    assert refusal_of(_head(), a_diagnosis(Cause.RATE_LIMIT_TOKENS, facts=too_large)) is None
    fits = (("limit", "30000"), ("requested", "800"))
    assert refusal_of(_head(), a_diagnosis(Cause.RATE_LIMIT_TOKENS, facts=fits)) is not None


def test_where_nothing_was_answered_or_nothing_is_wrong_there_is_no_refusal() -> None:
    assert refusal_of(None, a_diagnosis()) is None
    assert refusal_of(_head(), None) is None


@pytest.mark.parametrize(
    ("head", "body", "wait"),
    [
        (_head(429, (b"retry-after", b"3")), _error("Rate limit reached for gpt-5 on requests per min (RPM)."), 3.0),
        (
            _head(429),
            _error("Rate limit reached on requests per min (RPM): Limit 3, Used 3. Please try again in 20s."),
            20.0,
        ),
        (_head(429), _error("Rate limit reached on tokens per min (TPM).", kind="tokens"), None),
        (_head(429, (b"retry-after-ms", b"250")), b"too many requests", 0.25),
    ],
)
def test_a_refusal_as_it_comes_is_one_and_its_wait_is_read_wherever_it_stands(
    head: ReplyHead, body: bytes, wait: float | None
) -> None:
    found = lesson(OPENAI, IDENTIFIER, head, body, _judged(head, body)).refusal
    assert found is not None
    assert found.wait_seconds == wait


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (_head(429), _error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")),
        (
            _head(429),
            _error("Rate limit reached on requests per day (RPD): Limit 200, Used 200. Please try again in 7m12s."),
        ),
        (_head(429), _error("Request too large on tokens per min (TPM): Limit 30000, Requested 45000.", kind="tokens")),
        (ReplyHead(status=429, headers=((b"server", b"cloudflare"), (b"cf-ray", b"8f"))), b"error code: 1015"),
        (_head(503), _error("The server is overloaded.", "server_is_overloaded", "server_error")),
    ],
    ids=["quota", "day", "too large", "edge", "overloaded"],
)
def test_a_429_as_it_comes_that_is_not_about_speed_holds_nobody(head: ReplyHead, body: bytes) -> None:
    answer = lesson(OPENAI, IDENTIFIER, head, body, _judged(head, body))
    assert answer.refusal is None
    assert not answer.good


# what it states


LIMITS = (
    (b"x-ratelimit-limit-requests", b"60"),
    (b"x-ratelimit-remaining-requests", b"59"),
    (b"x-ratelimit-reset-requests", b"1s"),
)


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_the_limits_in_the_headers_of_any_answer_are_heard(status: int) -> None:
    diagnosis = None if status == 200 else a_diagnosis(Cause.UNKNOWN)
    answer = lesson(OPENAI, IDENTIFIER, _head(status, *LIMITS), b"", diagnosis)
    (said,) = answer.stated
    assert (said.kind, said.limit, said.remaining, said.reset_seconds) == ("requests", 60, 59, 1.0)
    assert answer.good is (status == 200)


@pytest.mark.parametrize(
    ("head", "body", "kind", "limit"),
    [
        (_head(), _error("Rate limit reached on requests per min (RPM): Limit 3, Used 3, Requested 1."), "requests", 3),
        (
            _head(),
            _error("Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000.", kind="tokens"),
            "tokens",
            30_000,
        ),
    ],
)
def test_the_limits_in_the_words_of_a_refusal_are_heard(head: ReplyHead, body: bytes, kind: str, limit: int) -> None:
    answer = lesson(OPENAI, IDENTIFIER, head, body, a_diagnosis(Cause.RATE_LIMIT_REQUESTS))
    assert answer.refusal is not None
    (said,) = answer.refusal.stated
    assert (said.kind, said.limit, said.window_seconds) == (kind, limit, 60.0)
    assert answer.stated == ()


def test_the_words_of_an_answer_that_is_no_refusal_are_not_read_for_limits() -> None:
    """A day's limit of 200 is not one that calls are paced by; a model's own words are no limit at all."""
    body = _error("Rate limit reached on requests per day (RPD): Limit 200, Used 200.")
    answer = lesson(OPENAI, IDENTIFIER, _head(), body, a_diagnosis(Cause.RATE_LIMIT_DAILY))
    assert (answer.refusal, answer.stated) == (None, ())
    assert lesson(OPENAI, IDENTIFIER, _head(200), body, None).stated == ()


def test_each_provider_reads_its_own_refusals() -> None:
    quota = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "15"}
    detail = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [quota]}
    body = json.dumps(
        {"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED", "details": [detail]}}
    )
    answer = lesson(GEMINI, IDENTIFIER, _head(), body.encode(), a_diagnosis(Cause.RATE_LIMIT_REQUESTS))
    assert answer.refusal is not None
    assert answer.refusal.stated == (StatedLimit("requests", 15, 0, None, 60.0),)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 50_000, b"<html>", b'{"error":null}'])
def test_a_body_that_says_nothing_teaches_nothing_and_breaks_nothing(body: bytes) -> None:
    for provider in (OPENAI, ANTHROPIC, GEMINI):
        answer = lesson(provider, IDENTIFIER, _head(), body, a_diagnosis(Cause.RATE_LIMIT_UNKNOWN))
        assert answer.refusal is not None
        assert answer.refusal.stated == ()


# whose


def _account(*headers: tuple[bytes, bytes], provider: Any = OPENAI) -> str | None:
    return lesson(provider, IDENTIFIER, _head(200, *headers), b"", None).account


def test_the_account_is_what_the_answer_names_as_a_fingerprint() -> None:
    name = _account((b"openai-organization", b"org-acme"))
    assert name is not None
    assert len(name) == 8
    assert int(name, 16) >= 0
    assert name == _account((b"openai-organization", b"org-acme"))
    assert name != _account((b"openai-organization", b"org-other"))
    assert name == _account((b"anthropic-organization-id", b"org-acme"), provider=ANTHROPIC)


def test_projects_of_one_organisation_are_accounts_of_their_own() -> None:
    organisation = (b"openai-organization", b"org-acme")
    found = {_account(organisation, (b"openai-project", name)) for name in (b"one", b"two")}
    assert len(found) == 2
    assert None not in found


def test_organisation_and_project_cannot_be_taken_for_each_other() -> None:
    split = _account((b"openai-organization", b"ab"), (b"openai-project", b"c"))
    assert split != _account((b"openai-organization", b"a"), (b"openai-project", b"bc"))


def test_an_answer_that_names_no_account_has_none() -> None:
    assert _account() is None
    assert _account((b"openai-organization", b"")) is None
    assert _account((b"anthropic-organization-id", b"org-acme")) is None, "another provider's"


def test_a_refusal_names_its_account_too() -> None:
    head = _head(429, (b"openai-organization", b"org-acme"))
    assert lesson(OPENAI, IDENTIFIER, head, b"", a_diagnosis(Cause.RATE_LIMIT_UNKNOWN)).account is not None
