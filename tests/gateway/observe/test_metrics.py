"""The figures: bounded, without secrets, in the form that Prometheus reads, and true."""

import itertools

import pytest

from gateway.model.cause import Cause, Fault
from gateway.model.decision import Forward, Plan
from gateway.model.exchange import Concluded
from gateway.model.provider import Usage
from gateway.observe.ended import Ended, of_call, of_row
from gateway.observe.metrics import MODELS_MAX, SERIES_MAX, TENANTS_MAX, Metrics, Now, Remaining, exposition
from gateway.observe.series import Names
from tests.gateway.observe.lint import problems, total, values
from tests.gateway.record.made import a_call, a_concluded, a_diagnosis, a_live, a_route, a_row, an_attempt


def ended(**changes: object) -> Ended:
    """Give a good call, with changes to what is told of it."""
    call = a_call()
    return of_call(a_live(call), a_concluded(call))._replace(**changes)  # type: ignore[arg-type]


def metrics(*calls: Ended) -> Metrics:
    made = Metrics(frozenset({"openai", "anthropic"}), "1.2.3")
    for call in calls:
        made.take(call)
    return made


def text_of(made: Metrics, now: Now | None = None) -> str:
    text, _ = exposition(made, now or Now(), "")
    return text.decode()


FULL = Now(
    inflight=2,
    queue_depth=1,
    remaining=[Remaining("openai", "gpt-5-mini", "tokens", 12.5)],
    degraded={"log": False, "cache": True},
    record={"written": 3, "dropped": 1, "queued": 2},
    pool={"busy": 1, "idle": 2},
)


def test_the_text_passes_the_linter_before_and_after_traffic() -> None:
    assert problems(text_of(metrics())) == []
    refused = ended(status=429, cause=Cause.RATE_LIMIT_TOKENS, fault=Fault.CALLER, queued_seconds=0.2, stream=True)
    assert problems(text_of(metrics(ended(), refused, of_row(a_row(1, kind="tunnel"))), FULL)) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 2\n", "times"),
        ("# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n", "base unit"),
        ("# TYPE a gauge\na 1\n", "not both"),
        ("b 1\n", "no TYPE"),
        ("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n", "does not count"),
        ("# HELP wait x\n# TYPE wait gauge\nwait 1\n", "say seconds"),
        (
            '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 3\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 1\n',
            "cumulative",
        ),
        ('# HELP h x\n# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_count 3\nh_sum 1\n', "not its count"),
    ],
)
def test_the_linter_finds_what_is_wrong(text: str, word: str) -> None:
    assert any(word in problem for problem in problems(text))


def test_ten_thousand_invented_models_make_no_more_than_two_hundred_series() -> None:
    made = metrics(
        *(ended(model=f"model-{number}", status=404, cause=Cause.REQUEST_MODEL_NOT_FOUND) for number in range(10_000))
    )
    made.take(ended(model="true-model"))
    text = text_of(made)
    models = {dict(labels)["model"] for labels in values(text)["whygate_requests_total"]}
    assert len(models) <= MODELS_MAX + 1
    assert "other" in models
    assert "true-model" in models  # the invented ones left it a place
    assert total(text, "whygate_requests_total") == 10_001
    assert len(text) < 1_000_000


def test_ten_thousand_tenants_make_no_more_than_a_hundred() -> None:
    text = text_of(metrics(*(ended(tenant=f"t{number}") for number in range(10_000))))
    tenants = {dict(labels)["tenant"] for labels in values(text)["whygate_requests_total"]}
    assert len(tenants) == TENANTS_MAX + 1
    assert total(text, "whygate_requests_total") == 10_000


def test_combinations_are_bounded_too() -> None:
    """Each label is; what they make together is more than anybody wants to store."""
    names = itertools.product(range(100), range(100), ("chat.completions", "responses"))
    made = metrics(*(ended(model=f"m{model}", tenant=f"t{tenant}", operation=what) for model, tenant, what in names))
    text = text_of(made)
    assert len(values(text)["whygate_requests_total"]) <= SERIES_MAX + 100
    assert len(values(text)["whygate_tokens_total"]) <= SERIES_MAX + 100
    assert total(text, "whygate_requests_total") == 20_000


def test_a_name_keeps_its_place() -> None:
    names = Names(4)
    assert [names.of(name) for name in ("a", "b", "c", "a", "")] == ["a", "b", "other", "a", "none"]
    assert [names.of(name, proven=True) for name in ("c", "d", "e")] == ["c", "d", "other"]


def test_no_label_holds_a_key_or_the_host_of_a_relay() -> None:
    key = "sk-proj-abcdefghijklmnop0123456789"
    text = text_of(metrics(ended(model=key), ended(provider="relay.example.com")))
    assert key not in text
    assert "relay.example" not in text
    assert total(text, "whygate_requests_total", provider="other") == 1


def test_a_model_of_odd_characters_breaks_no_line() -> None:
    text = text_of(metrics(ended(model='a"b\\c\nd\re\x00\ud800'), ended()))
    assert problems(text) == []
    assert total(text, "whygate_requests_total") == 2


def test_a_retry_is_counted_by_why_it_was_made_and_what_came_of_it() -> None:
    first, second = an_attempt(1, status=503, cause=Cause.SERVICE_OVERLOADED), an_attempt(2, waited_seconds=0.3)
    broken = an_attempt(2, status=503, cause=Cause.SERVICE_OVERLOADED)
    failed = {"status": 503, "cause": Cause.SERVICE_OVERLOADED, "fault": Fault.PROVIDER}
    text = text_of(
        metrics(
            ended(attempts=(first, second)),
            ended(attempts=(first, broken), **failed),
            ended(attempts=(first, second), client_left=True, cause=Cause.CLIENT_DISCONNECTED, fault=Fault.CALLER),
        )
    )
    for outcome in ("succeeded", "failed", "abandoned"):
        assert total(text, "whygate_retries_total", cause="service.overloaded", outcome=outcome) == 1
    assert total(text, "whygate_retry_wait_seconds_count") == 3
    assert total(text, "whygate_failures_total", cause="service.overloaded", fault="provider") == 1


def test_a_fallback_is_no_retry_and_its_tokens_are_not_the_providers() -> None:
    answered = (an_attempt(1, status=503, cause=Cause.SERVICE_OVERLOADED), an_attempt(2, fallback="spare"))
    text = text_of(metrics(ended(attempts=answered, fallback="spare", cause=Cause.SERVICE_OVERLOADED)))
    assert total(text, "whygate_retries_total") == 0
    assert total(text, "whygate_upstream_duration_seconds_count") == 1
    assert total(text, "whygate_tokens_total") == 0


@pytest.mark.parametrize(
    ("word", "planned", "result"),
    [
        ("hit", False, "hit"),
        ("stored", True, "miss"),
        ("none", True, "miss"),
        ("collapsed", True, "collapsed"),
        ("stale", True, "stale"),
        ("bypass", True, "bypass"),
    ],
)
def test_the_cache_is_counted_in_the_words_of_caches(word: str, planned: bool, result: str) -> None:
    text = text_of(metrics(ended(cache=word, could_be_cached=planned)))
    assert total(text, "whygate_cache_requests_total", result=result) == 1
    bought = word not in {"hit", "collapsed", "stale"}
    assert total(text, "whygate_tokens_total") == (46 if bought else 0)
    assert total(text, "whygate_cache_saved_tokens_total") == (0 if bought else 46)


def test_what_cannot_be_cached_is_not_counted_by_the_cache() -> None:
    assert total(text_of(metrics(ended())), "whygate_cache_requests_total") == 0


def test_the_least_of_several_accounts_is_what_is_left() -> None:
    left = [Remaining("openai", "m", "requests", 7.0), Remaining("openai", "m", "requests", 3.0)]
    text = text_of(metrics(), Now(remaining=left))
    assert values(text)["whygate_ratelimit_remaining"] == {
        (("kind", "requests"), ("model", "m"), ("provider", "openai")): 3.0
    }


def test_who_asks_for_openmetrics_gets_it() -> None:
    text, kind = exposition(metrics(ended()), Now(), "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_a_call_is_told_by_what_it_was_and_not_by_what_it_said() -> None:
    call = a_call(headers=((b"authorization", b"Bearer secret"), (b"traceparent", b"00-x")))
    plan = Forward(plan=Plan(key=b"k" * 32, flight=b"f" * 32, ttl_seconds=1.0))
    concluded: Concluded = a_concluded(
        call, route=a_route(tenant="red"), decision=plan, diagnosis=a_diagnosis(), queued_seconds=0.25, seconds=2.0
    )
    told = of_call(a_live(call), concluded)
    assert (told.tenant, told.provider, told.operation) == ("red", "openai", "chat.completions")
    assert (told.cause, told.fault, told.status) == (Cause.RATE_LIMIT_TOKENS, Fault.CALLER, 200)
    assert (told.queued_seconds, told.usage, told.could_be_cached) == (0.25, Usage(12, 34), True)
    assert told.traceparent == b"00-x"
    assert "secret" not in repr(told)
    assert "200,000 of 200,000" not in repr(told)  # what happened may quote the answer; the title is ours
