"""The cache on the path: what is given again, who asks for the others, and what stands in for a provider that fails."""

import asyncio
from typing import Any, NoReturn

import orjson
import pytest

from gateway import together
from gateway.cache import shelf
from gateway.cache.backend import Contents, Wanted
from gateway.cache.rule import CacheRule
from gateway.limit.gate import LimitRule
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.model.decision import StoredReply
from gateway.model.flow import State
from gateway.stages import Stages
from tests.gateway.driver import CHAT, HEADERS, Exchange, ask, nothing_is_held, until
from tests.gateway.factories import (
    ListSink,
    ScriptedUpstream,
    error_answer,
    json_answer,
    stages,
    stream_answer,
)

GOOD = {
    "choices": [{"message": {"content": "hi", "refusal": None}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
STATIC = b'{"model":"gpt-5","temperature":0,"messages":[]}'
STREAM = b'{"model":"gpt-5","temperature":0,"messages":[],"stream":true}'
EVENTS = (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: [DONE]\n\n")
OTHER_KEY = (*HEADERS[:2], (b"authorization", b"Bearer sk-other"))
HOUR = 3600.0


def _asked(made: Stages) -> int:
    assert isinstance(made.upstream, ScriptedUpstream)
    return len(made.upstream.asked)


def _rows(made: Stages) -> list[Any]:
    assert isinstance(made.sink, ListSink)
    assert not made.sink.open
    return made.sink.rows


def _words(made: Stages) -> list[str]:
    return [row.cache for row in _rows(made)]


def _pass(made: Stages, seconds: float) -> None:
    made.clock.seconds += seconds  # type: ignore[attr-defined]


def _with(*headers: tuple[bytes, bytes]) -> Any:
    return (*HEADERS, *headers)


class BrokenStore:
    """A store that cannot be used, or that never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.hangs = hangs

    async def _fail(self) -> NoReturn:
        if self.hangs:
            await asyncio.Event().wait()
        raise OSError("the disk is gone")

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        await self._fail()

    async def put(self, key: bytes, reply: StoredReply) -> None:
        await self._fail()

    async def clear(self, wanted: Wanted) -> int:
        await self._fail()

    async def sweep(self, now: float) -> int:
        await self._fail()

    async def contents(self) -> Contents:
        await self._fail()

    async def latest(self) -> float:
        await self._fail()

    async def close(self) -> None:
        await self._fail()


# given again


async def test_the_second_of_two_equal_prompts_is_answered_from_the_cache() -> None:
    made = stages(json_answer(GOOD), shelf={}, rules=(LimitRule(per_minute=1),))
    first = await ask(made, body=STATIC)
    _pass(made, 5)
    second = await ask(made, body=STATIC)
    assert first.body == second.body
    assert first.header("cache-status") == "whygate; fwd=miss; stored"
    assert second.header("cache-status") == "whygate; hit; ttl=3595; age=5"
    assert second.header("content-length") == str(len(first.body))
    assert second.header("x-whygate-attempts") == "0"
    assert _words(made) == ["stored", "hit"]
    assert _asked(made) == 1
    nothing_is_held(made)


async def test_what_belonged_to_one_request_is_not_given_again() -> None:
    own = ((b"x-request-id", b"req_1"), (b"set-cookie", b"a=b"), (b"x-ratelimit-remaining-requests", b"9"))
    made = stages(json_answer(GOOD, 200, *own), shelf={})
    await ask(made, body=STATIC)
    again = await ask(made, body=STATIC)
    assert not [name for name, _ in own if again.header(name.decode()) is not None]
    assert again.header("content-type") == "application/json"


async def test_an_answer_is_not_kept_longer_than_it_may_be() -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={})
    await ask(made, body=STATIC)
    _pass(made, HOUR)
    await ask(made, body=STATIC)
    assert _words(made) == ["stored", "stored"]


async def test_a_call_may_want_a_younger_answer_than_is_kept() -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={})
    await ask(made, body=STATIC)
    _pass(made, 60)
    await ask(made, body=STATIC, headers=_with((b"x-whygate-cache", b"ttl=30")))
    assert _words(made) == ["stored", "stored"]


async def test_nothing_is_shared_between_two_keys() -> None:
    made = stages(json_answer(GOOD), json_answer({"other": 1}), shelf={})
    await ask(made, body=STATIC)
    other = await ask(made, body=STATIC, headers=OTHER_KEY)
    assert orjson.loads(other.body) == {"other": 1}


def _changed(name: bytes, value: bytes) -> dict[str, Any]:
    return {"headers": tuple((n, value if n == name else v) for n, v in KEYED)}


def _elsewhere() -> dict[str, Any]:
    return _changed(b"host", b"api.anthropic.com") | {"origin": Origin("https", "api.anthropic.com", 443)}


KEYED = (
    *HEADERS,
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip"),
    (b"openai-organization", b"org-1"),
    (b"openai-project", b"proj-1"),
    (b"openai-beta", b"a"),
)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"body": STATIC.replace(b"gpt-5", b"gpt-4")}, id="model"),
        pytest.param({"body": STATIC.replace(b":0", b":0.0")}, id="0 and 0.0"),
        pytest.param({"body": STATIC.replace(b"[]", b"[0]")}, id="messages"),
        pytest.param({"body": STATIC.replace(b"}", b',"seed":1}')}, id="one more field"),
        pytest.param({"body": STATIC.replace(b"}", b',"temperature":0}')}, id="a key twice"),
        pytest.param({"body": STREAM}, id="a stream"),
        pytest.param({"target": b"/v1/responses"}, id="endpoint"),
        pytest.param({"target": b"/v1/chat/completions?a=1"}, id="query"),
        pytest.param({"target": b"//v1/chat/completions"}, id="path"),
        pytest.param(_elsewhere(), id="provider"),
        pytest.param(_changed(b"authorization", b"Bearer sk-other"), id="key"),
        pytest.param(_changed(b"openai-organization", b"org-2"), id="organisation"),
        pytest.param(_changed(b"openai-project", b""), id="project"),
        pytest.param(_changed(b"openai-beta", b"b"), id="version"),
        pytest.param(_changed(b"accept", b"text/event-stream"), id="accept"),
        pytest.param(_changed(b"accept-encoding", b"br"), id="encoding"),
        pytest.param(_changed(b"content-type", b"application/json; charset=utf-8"), id="content type"),
        pytest.param({"headers": KEYED[:-1]}, id="one header less"),
    ],
)
async def test_whatever_is_asked_otherwise_is_asked(how: dict[str, Any]) -> None:
    made = stages(*[json_answer(GOOD)] * 3, shelf={})
    await ask(made, body=STATIC, headers=KEYED)
    assert (await ask(made, body=STATIC, headers=KEYED)).header("x-whygate-attempts") == "0"
    await ask(made, **({"body": STATIC, "headers": KEYED} | how))
    assert _asked(made) == 2
    assert _words(made)[-1] in {"stored", "none"}


@pytest.mark.parametrize(
    "how",
    [
        {"body": b'{ "messages": [], "temperature": 0,\n"model": "gpt-5"}'},
        {"headers": (*KEYED, (b"user-agent", b"another"), (b"x-stainless-lang", b"js"), (b"x-request-id", b"7"))},
    ],
    ids=["order and space", "headers that change nothing"],
)
async def test_what_is_asked_in_other_words_is_the_same(how: dict[str, Any]) -> None:
    made = stages(json_answer(GOOD), shelf={})
    await ask(made, body=STATIC, headers=KEYED)
    await ask(made, **({"body": STATIC, "headers": KEYED} | how))
    assert _words(made) == ["stored", "hit"]


async def test_a_stream_from_the_cache_is_the_same_bytes() -> None:
    made = stages(stream_answer(*EVENTS), shelf={})
    first, second = [await ask(made, body=STREAM) for _ in range(2)]
    assert first.body == second.body == b"".join(EVENTS)
    assert second.header("content-type") == first.header("content-type")
    assert _words(made) == ["stored", "hit"]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param((error_answer(400, "invalid_value"), json_answer(GOOD)), id="an error"),
        pytest.param((stream_answer(EVENTS[0]), json_answer(GOOD)), id="a stream without its end"),
        pytest.param((stream_answer(EVENTS[0], ConnectionResetError()), json_answer(GOOD)), id="a broken stream"),
        pytest.param((json_answer({"error": {"message": "no"}}), json_answer(GOOD)), id="an error in a 200"),
        pytest.param((json_answer(GOOD, 200, (b"cache-control", b"no-store")), json_answer(GOOD)), id="no-store"),
    ],
)
async def test_what_failed_or_may_not_be_kept_never_is(script: Any) -> None:
    made = stages(*script, shelf={})
    await ask(made, body=STATIC)
    await ask(made, body=STATIC)
    assert _words(made) == ["none", "stored"]


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ((b"x-whygate-cache", b"no-cache"), "the call asks for a new answer"),
        ((b"x-whygate-cache", b"always"), "x-whygate-cache is neither no-cache nor ttl=SECONDS"),
        ((b"x-stainless-retry-count", b"1"), "the SDK asks for the same once more"),
    ],
)
async def test_a_call_that_goes_past_the_cache_says_why(headers: tuple[bytes, bytes], detail: str) -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={})
    await ask(made, body=STATIC)
    exchange = await ask(made, body=STATIC, headers=_with(headers))
    status = exchange.header("cache-status")
    assert status is not None
    assert status.startswith("whygate; fwd=request")
    assert status.endswith(f'detail="{detail}"')
    assert _asked(made) == 2


async def test_who_hangs_up_and_asks_the_same_again_is_asked_anew_once() -> None:
    never = asyncio.Event()
    made = stages(stream_answer(EVENTS[0], never), *[json_answer(GOOD)] * 2, shelf={})
    impatient = Exchange(made, body=STREAM)
    await impatient.until(pieces=1)
    impatient.hang_up()
    await impatient.task
    again, hit = [await ask(made, body=STREAM) for _ in range(2)]
    assert "hung up" in (again.header("cache-status") or "")
    assert (hit.header("cache-status") or "").startswith("whygate; hit")
    assert _words(made) == ["none", "stored", "hit"]


# who may read


async def test_a_key_that_the_provider_refuses_reads_nothing_until_it_is_accepted_again() -> None:
    refused = error_answer(401, "invalid_api_key")
    made = stages(json_answer(GOOD), refused, refused, json_answer(GOOD), shelf={})
    await ask(made, body=STATIC)
    await ask(made, body=CHAT)
    revoked, accepted, hit = [await ask(made, body=STATIC) for _ in range(3)]
    assert [revoked.status, accepted.status, hit.status] == [401, 200, 200]
    assert (hit.header("cache-status") or "").startswith("whygate; hit")
    assert _asked(made) == 4


LENDING = CacheRule(name="faq", ttl_seconds=HOUR, shared=True)


async def test_only_a_rule_lends_answers_and_only_to_keys_that_the_provider_accepts() -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), json_answer({"n": 3}), shelf={"rules": (LENDING,)})
    await ask(made, body=STATIC)
    unknown = await ask(made, body=STATIC, headers=OTHER_KEY)
    assert "not accepted" in (unknown.header("cache-status") or "")
    lent = await ask(made, body=STATIC, headers=OTHER_KEY)
    assert (lent.header("cache-status") or "").startswith("whygate; hit")
    assert _asked(made) == 2


async def test_a_key_counts_as_accepted_from_its_answer_on_even_if_storing_takes_long() -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={"rules": (LENDING,)})
    await ask(made, body=STATIC)
    assert made.cache is not None
    store, go = made.cache._store, asyncio.Event()
    put = store.put

    async def slowly(key: bytes, reply: StoredReply) -> None:
        await go.wait()
        await put(key, reply)

    store.put = slowly  # type: ignore[method-assign]
    first = Exchange(made, body=STATIC, headers=OTHER_KEY)
    await until(lambda: first.ended)
    second = await ask(made, body=STATIC, headers=OTHER_KEY)
    assert (second.header("cache-status") or "").startswith("whygate; hit")
    go.set()
    await first.done()


async def test_what_one_key_may_read_alone_is_not_lent_by_a_later_rule() -> None:
    made = stages(json_answer(GOOD), json_answer({"n": 2}), json_answer({"n": 3}), shelf={})
    await ask(made, body=STATIC)
    assert made.cache is not None
    made.cache.rules = (LENDING,)
    await ask(made, body=CHAT, headers=OTHER_KEY)
    other = await ask(made, body=STATIC, headers=OTHER_KEY)
    assert orjson.loads(other.body) == {"n": 3}


async def test_private_answers_are_not_lent() -> None:
    private = json_answer(GOOD, 200, (b"cache-control", b"private"))
    made = stages(private, json_answer(GOOD), shelf={"rules": (LENDING,)})
    await ask(made, body=STATIC)
    assert _words(made) == ["bypass"]


# together


async def _crowd(made: Stages, count: int, **how: Any) -> list[Exchange]:
    crowd = [Exchange(made, **{"body": STATIC, **how}) for _ in range(count)]
    await until(lambda: len(made.sink.open) == count)  # type: ignore[attr-defined]
    for _ in range(20):
        await asyncio.sleep(0)
    return crowd


async def test_five_hundred_equal_calls_ask_once() -> None:
    go = asyncio.Event()
    made = stages(go, json_answer(GOOD), shelf={})
    crowd = await _crowd(made, 500)
    go.set()
    assert all([await one.done() for one in crowd])
    assert {one.body for one in crowd} == {orjson.dumps(GOOD)}
    assert {one.status for one in crowd} == {200}
    assert _asked(made) == 1
    assert sorted(_words(made)) == ["collapsed"] * 499 + ["stored"]
    assert {one.header("cache-status") for one in crowd} == {
        "whygate; fwd=miss; stored",
        "whygate; fwd=miss; collapsed",
    }
    assert len({one.header("x-whygate-flow-id") for one in crowd}) == 500
    assert [len(row.answered.attempts) for row in _rows(made)].count(1) == 1
    nothing_is_held(made)
    assert not made.cache.flights  # type: ignore[union-attr]


async def test_a_stream_is_given_to_all_as_it_comes() -> None:
    go = asyncio.Event()
    made = stages(stream_answer(EVENTS[0], go, EVENTS[1]), shelf={})
    first = Exchange(made, body=STREAM)
    await first.until(pieces=1)
    late = Exchange(made, body=STREAM)
    await late.until(pieces=1)
    assert late.body == first.body == EVENTS[0]
    go.set()
    assert await first.done()
    assert await late.done()
    assert late.body == first.body == b"".join(EVENTS)
    assert _words(made) == ["stored", "collapsed"] or _words(made) == ["collapsed", "stored"]


async def test_keys_that_share_nothing_ask_each_for_themselves() -> None:
    go = asyncio.Event()
    made = stages(go, json_answer(GOOD), json_answer({"other": 1}), shelf={})
    one, other = Exchange(made, body=STATIC), Exchange(made, body=STATIC, headers=OTHER_KEY)
    await until(lambda: _asked(made) == 2)
    go.set()
    await one.done()
    await other.done()
    assert one.body != other.body


async def test_keys_that_share_answers_do_not_share_a_refusal() -> None:
    go = asyncio.Event()
    made = stages(go, error_answer(401, "invalid_api_key"), json_answer(GOOD), shelf={"rules": (LENDING,)})
    bad = Exchange(made, body=STATIC)
    await until(lambda: _asked(made) == 1)
    good = Exchange(made, body=STATIC, headers=OTHER_KEY)
    await good.done()
    go.set()
    await bad.done()
    assert sorted([bad.status or 0, good.status or 0]) == [200, 401]


async def test_when_the_first_hangs_up_the_others_still_get_the_answer() -> None:
    go = asyncio.Event()
    made = stages(stream_answer(EVENTS[0], go, EVENTS[1]), shelf={}, rules=(LimitRule(concurrency=1),))
    first = Exchange(made, body=STREAM)
    await first.until(pieces=1)
    second = Exchange(made, body=STREAM)
    await second.until(pieces=1)
    first.hang_up()
    await first.task
    go.set()
    assert await second.done()
    assert second.body == b"".join(EVENTS)
    left, stayed = _rows(made)
    assert left.diagnosis.cause is Cause.CLIENT_DISCONNECTED
    assert (left.cache, stayed.cache) == ("none", "stored")
    assert [len(row.answered.attempts) for row in (left, stayed)] == [1, 0]
    assert _asked(made) == 1
    nothing_is_held(made)


async def test_what_is_asked_behind_the_first_stands_in_the_row_of_the_next() -> None:
    go = asyncio.Event()
    made = stages(go, error_answer(503, None), json_answer(GOOD), shelf={})
    first, second = await _crowd(made, 2)
    first.hang_up()
    await first.task
    go.set()
    assert await second.done()
    left, stayed = _rows(made)
    assert [len(row.answered.attempts) for row in (left, stayed)] == [0, 2]
    assert stayed.cache == "stored"


async def test_when_all_hang_up_the_provider_is_left_alone() -> None:
    never = asyncio.Event()
    answer = stream_answer(EVENTS[0], never)
    made = stages(answer, shelf={}, rules=(LimitRule(concurrency=1),))
    crowd = await _crowd(made, 5, body=STREAM)
    for one in crowd:
        await one.until(pieces=1)
        one.hang_up()
        await one.task
    assert answer.aborted
    assert not made.cache.flights  # type: ignore[union-attr]
    assert {row.diagnosis.cause for row in _rows(made)} == {Cause.CLIENT_DISCONNECTED}
    assert sum(len(row.answered.attempts) for row in _rows(made)) == 1
    nothing_is_held(made)


async def test_a_follower_that_leaves_hurts_nobody() -> None:
    go = asyncio.Event()
    made = stages(stream_answer(EVENTS[0], go, EVENTS[1]), shelf={})
    crowd = await _crowd(made, 3, body=STREAM)
    crowd[1].hang_up()
    await crowd[1].task
    go.set()
    assert await crowd[0].done()
    assert await crowd[2].done()
    assert crowd[0].body == crowd[2].body == b"".join(EVENTS)


async def test_a_failure_reaches_everybody_with_its_verdict() -> None:
    go = asyncio.Event()
    made = stages(go, error_answer(400, "context_length_exceeded", "too long", (b"set-cookie", b"a=b")), shelf={})
    crowd = await _crowd(made, 3)
    go.set()
    for one in crowd:
        await one.done()
        assert one.status == 400
        assert one.header("x-whygate-cause") == "request.context_length"
        assert orjson.loads(one.body)["error"]["code"] == "context_length_exceeded"
    assert [one.header("set-cookie") for one in crowd].count(None) == 2
    assert {row.diagnosis.cause for row in _rows(made)} == {Cause.REQUEST_CONTEXT_LENGTH}
    assert _asked(made) == 1


async def test_a_stream_that_breaks_breaks_for_everybody() -> None:
    go = asyncio.Event()
    made = stages(stream_answer(EVENTS[0], go, ConnectionResetError()), shelf={})
    crowd = await _crowd(made, 3, body=STREAM)
    go.set()
    assert [await one.done() for one in crowd] == [False] * 3
    assert len({one.body for one in crowd}) == 1
    assert all(row.diagnosis is not None for row in _rows(made))


async def test_a_bug_of_ours_is_told_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    go = asyncio.Event()

    async def bug(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("gateway.attempts.deliver", bug)
    made = stages(go, json_answer(GOOD), shelf={}, rules=(LimitRule(concurrency=1),))
    crowd = await _crowd(made, 3)
    go.set()
    for one in crowd:
        await one.done()
    assert {one.status for one in crowd} == {500}
    nothing_is_held(made)


async def test_a_follower_waits_in_our_queue_no_longer_than_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LOOK_SECONDS", 0.01)
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={}, rules=(LimitRule(concurrency=1),))
    gate = asyncio.Event()
    made.upstream.script.insert(0, gate)  # type: ignore[attr-defined]
    busy = Exchange(made, body=CHAT)
    await until(lambda: _asked(made) == 1)
    (patient,) = await _patient(made)
    hasty = Exchange(made, body=STATIC, headers=_with((b"x-whygate-timeout-ms", b"20")))
    assert await hasty.done()
    assert hasty.status == 429
    assert hasty.header("x-whygate-cause") == "proxy.queue_timeout"
    gate.set()
    assert await busy.done()
    assert await patient.done()
    assert patient.status == 200


async def _patient(made: Stages) -> list[Exchange]:
    patient = Exchange(made, body=STATIC)
    await until(lambda: made.gate.waiting == 1)
    return [patient]


async def test_who_has_more_time_than_the_first_asks_again_for_itself() -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={}, rules=(LimitRule(per_minute=1),))
    await ask(made, body=CHAT)
    hasty = Exchange(made, body=STATIC, headers=_with((b"x-whygate-timeout-ms", b"100")))
    patient = Exchange(made, body=STATIC, headers=_with((b"x-whygate-timeout-ms", b"600000")))
    await until(hasty.task.done)
    assert hasty.status == 429
    await until(lambda: made.gate.waiting == 1)
    assert not patient.task.done()
    patient.hang_up()
    await patient.task
    assert _asked(made) == 1
    nothing_is_held(made)


async def test_the_rows_of_those_who_wait_show_where_the_request_stands() -> None:
    go = asyncio.Event()
    made = stages(go, json_answer(GOOD), shelf={})
    crowd = await _crowd(made, 2)
    assert {live.state for live in made.sink.open.values()} == {State.CONNECTING}  # type: ignore[attr-defined]
    assert sorted(live.attempts for live in made.sink.open.values()) == [0, 1]  # type: ignore[attr-defined]
    go.set()
    for one in crowd:
        await one.done()


# standing in


FAILING = [
    pytest.param([ConnectionRefusedError()] * 3, id="nobody there"),
    pytest.param([error_answer(503, None)] * 3, id="a 503"),
    pytest.param([error_answer(500, None)] * 3, id="a 500"),
]


@pytest.mark.parametrize("script", FAILING)
async def test_an_old_answer_stands_in_for_a_provider_that_fails(script: list[Any]) -> None:
    made = stages(json_answer(GOOD), *script, shelf={})
    fresh = await ask(made, body=STATIC)
    _pass(made, HOUR + 60)
    stale = await ask(made, body=STATIC)
    assert stale.status == 200
    assert stale.body == fresh.body
    status = stale.header("cache-status") or ""
    assert status.startswith("whygate; hit; stale; ttl=-")
    assert stale.header("x-whygate-cause") is not None
    assert stale.header("x-should-retry") is None
    row = _rows(made)[-1]
    assert row.cache == "stale"
    assert row.diagnosis is not None
    assert row.answered.outcome.head.status == 200
    assert row.answered.attempts
    nothing_is_held(made)


async def test_a_stream_stands_in_as_a_stream() -> None:
    made = stages(stream_answer(*EVENTS), *[ConnectionRefusedError()] * 3, shelf={})
    fresh = await ask(made, body=STREAM)
    _pass(made, 2 * HOUR)
    stale = await ask(made, body=STREAM)
    assert (stale.status, stale.body) == (200, fresh.body)


@pytest.mark.parametrize(
    "failure",
    [
        error_answer(401, "invalid_api_key"),
        error_answer(403, "insufficient_permissions"),
        error_answer(400, "invalid_value"),
        error_answer(429, "insufficient_quota"),
        error_answer(404, "model_not_found"),
    ],
    ids=lambda answer: str(answer.status),
)
async def test_nothing_stands_in_for_a_refusal(failure: Any) -> None:
    made = stages(json_answer(GOOD), failure, shelf={})
    await ask(made, body=STATIC)
    _pass(made, 2 * HOUR)
    refused = await ask(made, body=STATIC)
    assert refused.status == failure.status


async def test_what_is_too_old_does_not_stand_in() -> None:
    made = stages(json_answer(GOOD), *[ConnectionRefusedError()] * 3, shelf={})
    await ask(made, body=STATIC)
    _pass(made, HOUR + 86_400)
    assert (await ask(made, body=STATIC)).status == 502


async def test_nothing_stands_in_where_it_is_turned_off() -> None:
    made = stages(json_answer(GOOD), *[ConnectionRefusedError()] * 3, shelf={"stale_seconds": 0.0})
    await ask(made, body=STATIC)
    _pass(made, HOUR + 1)
    assert (await ask(made, body=STATIC)).status == 502


async def test_a_call_that_wants_a_new_answer_gets_no_old_one() -> None:
    made = stages(json_answer(GOOD), *[ConnectionRefusedError()] * 3, shelf={})
    await ask(made, body=STATIC)
    exchange = await ask(made, body=STATIC, headers=_with((b"x-whygate-cache", b"no-cache")))
    assert exchange.status == 502


async def test_a_retry_of_an_sdk_is_helped_by_what_is_kept_when_the_provider_fails() -> None:
    made = stages(json_answer(GOOD), *[ConnectionRefusedError()] * 3, shelf={})
    await ask(made, body=STATIC)
    exchange = await ask(made, body=STATIC, headers=_with((b"x-stainless-retry-count", b"1")))
    assert exchange.status == 200
    assert (exchange.header("cache-status") or "").startswith("whygate; hit; ttl=")


# a store that fails


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_store_that_fails_costs_the_app_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr(shelf, "PUT_SECONDS", 0.05)
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={"store": BrokenStore(hangs=hangs)})
    for _ in range(2):
        exchange = await ask(made, body=STATIC)
        assert (exchange.status, exchange.ended) == (200, True)
    assert _words(made) == ["none", "none"]
    assert made.cache is not None
    assert made.cache.degraded
    assert len([record for record in caplog.records if "cache" in record.message]) == 1


async def test_time_in_the_cache_does_not_go_back_with_the_clock() -> None:
    made = stages(json_answer(GOOD), json_answer(GOOD), shelf={})
    assert made.cache is not None
    began = made.cache.now()
    later = stages(clock=made.clock, shelf={"store": made.cache._store})
    await ask(made, body=STATIC)
    assert later.cache is not None
    later.cache._epoch -= 86_400
    await later.cache.open()
    assert later.cache.now() >= began


@pytest.mark.parametrize("broken", ["use_of", "can_be_static"])
async def test_a_bug_of_the_cache_costs_the_app_nothing(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(shelf, broken, bug)
    made = stages(json_answer(GOOD), shelf={})
    exchange = await ask(made)
    assert (exchange.status, exchange.ended) == (200, True)
    assert _words(made) == ["none"]
