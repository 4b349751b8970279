"""Equal calls that are under way at the same time are one at the provider, over real sockets, with the official SDKs."""

import asyncio
from typing import Any

import pytest

from tests.e2e.test_cache import APIS, again, zero
from tests.e2e.world import World
from tests.running import lane, read_answer, reset

SLOW = {"x-simulate-first-byte-ms": "700"}
CALLS = 40


def _asked(api: str, prompt: str, **more: Any) -> Any:
    return zero(api, prompt, headers=SLOW, **more)


@pytest.mark.parametrize("api", APIS)
def test_many_equal_calls_at_once_are_one_at_the_provider(world: World, api: str) -> None:
    asked = _asked(api, f"a crowd of {api}")
    results = world.proxied.ask([again(asked) for _ in range(CALLS)])
    assert {result["text"] for result in results} == {f"Echo: a crowd of {api}"}
    assert len(world.provider.rows(asked["key"])) == 1
    words = [world.row(result)["cache"] for result in results]
    assert words.count("stored") == 1
    assert set(words) <= {"stored", "collapsed", "hit"}
    assert words.count("collapsed") > CALLS / 2
    assert sum(len(world.row(result)["attempts"]) for result in results) == 1


@pytest.mark.parametrize("api", APIS)
def test_a_stream_for_many_is_the_same_bytes_for_each(world: World, api: str) -> None:
    prompt = " ".join(["word"] * 60)
    asked = zero(api, f"{prompt} {api}", stream=True, headers=SLOW | {"x-simulate-interval-ms": "5"})
    results = world.proxied.ask([again(asked, raw=True) for _ in range(10)])
    assert len({result["sha256"] for result in results}) == 1
    assert len(world.provider.rows(asked["key"])) == 1
    read = world.proxied.ask_one(again(asked))
    assert read["text"] == f"Echo: {prompt} {api}"


def test_a_failure_for_many_is_asked_once_and_tells_each_why(world: World) -> None:
    asked = _asked("chat", "fail for all", model="simulate:request.context_length", max_retries=0)
    results = world.proxied.ask([again(asked) for _ in range(10)])
    assert {result["error"]["status"] for result in results} == {400}
    assert {result["error"]["headers"]["x-whygate-cause"] for result in results} == {"request.context_length"}
    assert len({result["error"]["headers"]["x-whygate-flow-id"] for result in results}) == 10
    assert len(world.provider.rows(asked["key"])) < 10, "who comes when it has failed already asks again"


def test_a_key_that_is_refused_refuses_no_other_key(world: World) -> None:
    bad = _asked("chat", "for whom it concerns", model="simulate:auth.invalid_key", max_retries=0)
    good = _asked("chat", "for whom it concerns")
    results = world.proxied.ask([bad, good, again(good)])
    assert [bool(result["error"]) for result in results] == [True, False, False]


STREAM = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\ncontent-type: application/json\r\n"
    b"authorization: Bearer sk-proj-canary-together-%d\r\nx-simulate-interval-ms: 30\r\ncontent-length: %d\r\n\r\n%b"
)


async def test_the_one_that_asked_may_leave_and_the_others_have_the_whole_answer(world: World) -> None:
    body = b'{"model":"gpt-4o-mini","temperature":0,"stream":true,"messages":[{"role":"user","content":"%b"}]}' % (
        b" ".join([b"stay"] * 30)
    )
    request = STREAM % (1, len(body), body)
    lanes = [await lane(world.gateway) for _ in range(3)]
    for _, writer in lanes:
        writer.write(request)
        await asyncio.sleep(0.05)  # the first one is the one that asks
    head, _ = await read_answer(lanes[0][0], to_head=True)
    await lanes[0][0].readuntil(b"data: ")
    reset(lanes[0][1])
    answers = [await read_answer(reader) for reader, _ in lanes[1:]]
    assert b"fwd=miss" in head
    assert {answer[1] for answer in answers} == {answers[0][1]}
    assert answers[0][1].endswith(b"data: [DONE]\n\n")
    assert answers[0][1].count(b"stay") == 30
    key = "sk-proj-canary-together-1"
    assert len(world.provider.rows(key)) == 1
    for _, writer in lanes[1:]:
        writer.close()


async def test_when_all_leave_the_provider_is_left_alone(world: World) -> None:
    body = b'{"model":"gpt-4o-mini","temperature":0,"stream":true,"messages":[{"role":"user","content":"%b"}]}' % (
        b" ".join([b"leave"] * 400)
    )
    lanes = [await lane(world.gateway) for _ in range(3)]
    for reader, writer in lanes:
        writer.write(STREAM % (2, len(body), body))
        await reader.readuntil(b"data: ")
    for _, writer in lanes:
        reset(writer)
    (row,) = await asyncio.to_thread(world.provider.rows, "sk-proj-canary-together-2")
    assert row.ended_at - row.started_at < 6  # of twelve
