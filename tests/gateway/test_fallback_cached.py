"""A fallback beside the cache: what it answers is kept for nobody, and an older answer of the provider comes first."""

from typing import Any

from gateway.model.fallback import Fallback
from tests.gateway.driver import Exchange, ask, nothing_is_held, until
from tests.gateway.factories import ListSink, ScriptedUpstream, json_answer, stages
from tests.gateway.test_fallback import LOCAL_ORIGIN, REFUSED, down, good, sent

STATIC = b'{"model":"gpt-5","temperature":0,"messages":[]}'
ANSWER = {"choices": [{"message": {"content": "hi", "refusal": None}}]}


async def test_what_a_fallback_says_is_not_kept() -> None:
    made = down(good(), json_answer(ANSWER), shelf={})
    first = await ask(made, body=STATIC)
    second = await ask(made, body=STATIC)
    assert (first.header("x-whygate-fallback"), first.header("cache-status")) == ("local", None)
    assert (second.header("x-whygate-fallback"), second.header("cache-status")) == (None, "whygate; fwd=miss; stored")
    assert isinstance(made.sink, ListSink)
    assert [row.cache for row in made.sink.rows] == ["none", "stored"]
    assert len(sent(made)) == 1


async def test_equal_calls_that_are_under_way_share_a_fallbacks_answer_and_each_says_whose_it_is() -> None:
    made = down(good(), shelf={})
    calls = [Exchange(made, body=STATIC) for _ in range(3)]
    await until(lambda: all(call.task.done() for call in calls))
    for call in calls:
        assert await call.done()
        assert (call.status, call.header("x-whygate-fallback")) == (200, "local")
        assert call.header("x-whygate-cause") == "network.tcp_refused"
        assert call.header("x-whygate-flow-id")
    assert len({call.header("x-whygate-flow-id") for call in calls}) == 3
    assert len(sent(made)) == 1
    assert isinstance(made.sink, ListSink)
    assert [row.answered.outcome.fallback for row in made.sink.rows] == ["local"] * 3
    assert sorted(row.cache for row in made.sink.rows) == ["collapsed", "collapsed", "none"]
    nothing_is_held(made)


async def test_an_older_answer_of_the_provider_itself_comes_before_a_fallback() -> None:
    script: list[Any] = [json_answer(ANSWER), REFUSED, REFUSED, REFUSED, good()]
    upstream = ScriptedUpstream(script)
    made = stages(upstream=upstream, shelf={}, fallbacks=(Fallback(name="local", origin=LOCAL_ORIGIN),))
    await ask(made, body=STATIC)
    made.clock.seconds += 2 * 3600.0  # type: ignore[attr-defined]
    stale = await ask(made, body=STATIC)
    assert stale.status == 200
    assert (stale.header("cache-status") or "").startswith("whygate; hit; stale")
    assert stale.header("x-whygate-fallback") is None
    assert not sent(made)
