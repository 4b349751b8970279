"""What the words of a refusal say of a limit: wordings from documentation and reports, and what must not be taken for one."""

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers._refusals import BODY_MAX, limits_in, read_refusal
from tests.gateway.providers.contract import SAYINGS, Stated, sane

_REACHED = "Rate limit reached for gpt-5 in organization org-example on"


def _requests(limit: int, window_seconds: float | None) -> tuple[Stated, ...]:
    return (("requests", limit, 0, None, window_seconds),)


def _tokens(limit: int, window_seconds: float | None, remaining: int | None = None) -> tuple[Stated, ...]:
    return (("tokens", limit, remaining, None, window_seconds),)


def _at_once(limit: int | None) -> tuple[Stated, ...]:
    return (("concurrency", limit, 0, None, None),)


@pytest.mark.parametrize(
    ("message", "stated"),
    [
        (
            f"{_REACHED} tokens per min (TPM): Limit 10000, Used 9500, Requested 800. Try in 1.8s.",
            _tokens(10000, 60.0, 500),
        ),
        (f"{_REACHED} tokens per min (TPM): Limit 6,000, Used 7000, Requested 8.", _tokens(6000, 60.0, 0)),
        (f"{_REACHED} requests per min (RPM): Limit 3, Used 3, Requested 1. Please try in 20s.", _requests(3, 60.0)),
        (
            f"{_REACHED} requests per day (RPD): Limit 200, Used 200, Requested 1. Try in 7m12s.",
            _requests(200, 86400.0),
        ),
        (f"{_REACHED} tokens per day (TPD): Limit 100000, Used 99560, Requested 2041.", _tokens(100000, 86400.0, 440)),
        (f"{_REACHED} requests per sec: Limit 5, Used 5, Requested 1.", _requests(5, 1.0)),
        (f"{_REACHED} requests per min. Limit: 3 / min. Please try again in 20s. Contact us.", _requests(3, 60.0)),
        (f"{_REACHED} requests per min. Limit: 60.000000 / min. Current: 70.000000 / min.", _requests(60, 60.0)),
        (f"{_REACHED} tokens per min. Limit: 90000 / min. Current: 1 / min.", _tokens(90000, 60.0)),
        (f"{_REACHED} tokens_usage_based per min: Limit 10000, Used 8000, Requested 3000.", _tokens(10000, 60.0, 2000)),
        (
            "Request too large for `m` on tokens per minute (TPM): Limit 6000, Requested 14368, reduce.",
            _tokens(6000, 60.0),
        ),
        (f"{_REACHED} concurrent requests: Limit 8, Used 8, Requested 1.", _at_once(8)),
        (
            "This would exceed your organization's rate limit of 50 requests per minute. For details",
            _requests(50, 60.0),
        ),
        (
            "This request would exceed the rate limit for your organization of 8,000 output tokens per minute.",
            (("output_tokens", 8000, None, None, 60.0),),
        ),
        (
            "Number of requests has exceeded your per-minute rate limit (https://x)",
            (("requests", None, 0, None, 60.0),),
        ),
        ("Number of request tokens has exceeded your daily rate limit", (("tokens", None, 0, None, 86400.0),)),
        ("Number of concurrent connections has exceeded your rate limit.", _at_once(None)),
        ("Concurrency limit exceeded for user, please retry later", _at_once(None)),
        ("The maximum rate limit for this model is 60 queries per minute. It differs from", _requests(60, 60.0)),
        ("The maximum rate limit for this model is 0.6 queries per minute.", _requests(1, 100.0)),
        (
            "Your account <ak> request reached organization max RPM: 3, please try again after 20 seconds",
            _requests(3, 60.0),
        ),
        ("request reached organization max concurrency: 1, please try again after 1 seconds", _at_once(1)),
        ("request reached project TPM rate limit, current: 1410, limit: 100, see https://x", _tokens(100, 60.0)),
        ("Your current concurrency is 5, which exceeds your concurrency limit of 4 at this balance", _at_once(4)),
        (
            "rate limit is: Requests per Second (actual/limit): 5/4. Requests per Minute (actual/limit): 10/480.",
            (("requests", 4, 0, None, 1.0), ("requests", 480, 470, None, 60.0)),
        ),
        ("Rate limit of 10 per 60s exceeded for UserByModelByMinute. Please wait 48 seconds.", _requests(10, 60.0)),
        ("Rate limit of 2 per 0s exceeded for UserConcurrentRequests. Please wait 0 seconds", _at_once(2)),
        ("Trial keys are limited to 10 API calls / minute. You can continue", _requests(10, 60.0)),
        ("Limit type: requests. Current limit: 10, Remaining: 0. Limit resets at: 2026-11-20", _requests(10, 60.0)),
        ("Limit type: tokens. Current limit: 1000, Remaining: 70. Limit resets at: x", _tokens(1000, 60.0, 70)),
        ("Limit type: max_parallel_requests. Current limit: 5, Remaining: 0. Limit", _at_once(5)),
        (
            "Crossed TPM / RPM. current rpm: 4, rpm limit: 3, current tpm: 1, tpm limit: 1000, x: 9223372036854775807",
            (("requests", 3, None, None, 60.0), ("tokens", 1000, None, None, 60.0)),
        ),
        ("* Quota exceeded for metric: x.googleapis.com/free_tier_requests, limit: 20, model: g", _requests(20, None)),
        ("您已达到请求数限制：1分钟内最多请求60次", _requests(60, 60.0)),
        ("您已达到总请求数限制：5分钟内最多请求 60 次，包括失败次数", _requests(60, 300.0)),
        ("已达到并发数限制：5", _at_once(5)),
        ("You sent 70 requests per minute, the limit is 60 requests per minute", _requests(60, 60.0)),
        ("Max 10 requests every 60 seconds", _requests(10, 60.0)),
        ("10k TPM limit reached", _tokens(10000, 60.0)),
    ],
)
def test_a_refusal_says_which_limit_it_was(message: str, stated: tuple[Stated, ...]) -> None:
    assert limits_in(message) == stated


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Rate limit exceeded",
        "Rate limit is exceeded. Try again in 2 seconds.",
        "Requests have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 3 seconds.",
        "Rate limit exceeded for images per minute in organization org-x. Limit: 5/1min. Current: 6/1min.",
        "Rate limit exceeded for requests per minute. Limit: 0/1min. Current: 1/1min.",
        "This would exceed your organization's maximum usage increase rate for input tokens per minute.",
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests per day",
        "Upgrade to get 500 requests per minute!",
        "Enqueued token limit reached. Limit: 2,000,000 enqueued tokens.",
        "This model's maximum context length is 8192 tokens, you requested 9000 tokens.",
        "You have a limit of $50 per month",
        "请60秒后再试1次",
        "limit 99999999999999999999 requests per minute",
    ],
)
def test_what_names_no_limit_states_none(message: str) -> None:
    assert limits_in(message, "requests") == ()


def test_the_envelope_says_what_was_counted_where_the_words_do_not() -> None:
    assert limits_in("Limit 100, Used 40", "tokens") == _tokens(100, None, 60)
    assert limits_in("Limit 100, Used 40") == ()


def test_a_refusal_may_be_plain_text_but_neither_a_page_nor_a_flood() -> None:
    text = b"limit of 60 requests per minute"
    assert read_refusal(text) == _requests(60, 60.0)
    assert read_refusal(orjson.dumps({"detail": text.decode()})) == _requests(60, 60.0)
    assert read_refusal(b"<p>" + text) == ()
    assert read_refusal(b'{"broken": ' + text) == ()
    assert read_refusal(text + b" " * BODY_MAX) == ()
    assert read_refusal(b" x" * 2000 + text) == ()


@pytest.mark.parametrize(
    "piece",
    ["limit 1 ", "a_", "1,234,", "tokens per ", "rpm ", "requests per min ", "9", "max concurrency ", "5 分钟", "a/"],
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    limits_in(piece * 4000)
    assert time.process_time() - begun < 0.5


@given(message=st.text(max_size=200) | SAYINGS, kind=st.sampled_from(["", "tokens", "requests", "x"]))
def test_reading_words_is_total_and_says_nothing_absurd(message: str, kind: str) -> None:
    stated = limits_in(message, kind)
    assert len(stated) <= 8
    for one in stated:
        sane(one)
