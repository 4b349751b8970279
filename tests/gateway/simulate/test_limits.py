"""Rate limits, with time moved by hand."""

import httpx2
import pytest

from gateway.simulate.limits import SlidingWindow, go_duration
from tests.gateway.simulate.world import KEY, HandClock, Start, World, chat_body


async def chat(world: World, key: str = KEY, text: str = "one two three four five") -> httpx2.Response:
    """Send one call and return the answer."""
    http = await world.http()
    return await http.post("/v1/chat/completions", json=chat_body(text), headers={"authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0081, "9ms"),
        (0.174, "174ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (86.4, "1m26.4s"),
        (360, "6m0s"),
        (3_600, "1h0m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    """The reset headers of OpenAI can be read by a parser of Go durations."""
    assert go_duration(seconds) == text


def test_a_window_frees_each_unit_exactly_one_length_later() -> None:
    """What fits when is exact, to the last unit."""
    window = SlidingWindow(10, 60)
    window.add(4, 0.0)
    window.add(6, 20.0)
    assert window.wait_seconds(1, 30.0) == 30.0
    assert window.wait_seconds(5, 30.0) == 50.0
    assert window.wait_seconds(11, 30.0) is None
    assert window.wait_seconds(4, 60.0) == 0.0
    assert (window.remaining(60.0), window.reset_seconds(60.0)) == (4, 20.0)


async def test_requests_per_minute_are_enforced_and_shown(start: Start, clock: HandClock) -> None:
    """The third call of a minute is refused with the time to wait, and passes exactly then."""
    world = await start(requests_per_minute=2, clock=clock)
    first = await chat(world)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"] == "1m0s"
    clock.advance(10.5)
    assert (await chat(world)).status_code == 200
    refused = await chat(world)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["code"]) == (429, "requests", "rate_limit_exceeded")
    assert "requests per min (RPM): Limit 2, Used 2, Requested 1. Please try again in 49.5s." in error["message"]
    assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("50", "49500")
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    clock.advance(49.4)
    assert (await chat(world)).status_code == 429
    clock.advance(0.1)
    assert (await chat(world)).status_code == 200


async def test_a_refused_call_costs_nothing(start: Start, clock: HandClock) -> None:
    """However often a client knocks, the door opens at the same time."""
    world = await start(requests_per_second=1, clock=clock)
    assert (await chat(world)).status_code == 200
    clock.advance(0.25)
    answers = [await chat(world) for _ in range(3)]
    assert {(one.status_code, one.headers["retry-after-ms"]) for one in answers} == {(429, "750")}
    assert all("requests per sec (RPS)" in one.text for one in answers)
    clock.advance(0.75)
    assert (await chat(world)).status_code == 200


async def test_tokens_per_minute_count_input_and_output(start: Start, clock: HandClock) -> None:
    """Fourteen tokens a call: two fit into 30, the third must wait for the first to leave."""
    world = await start(tokens_per_minute=30, clock=clock)
    assert (await chat(world)).headers["x-ratelimit-remaining-tokens"] == "16"
    clock.advance(6)
    assert (await chat(world)).headers["x-ratelimit-remaining-tokens"] == "2"
    refused = await chat(world)
    assert refused.json()["error"]["type"] == "tokens"
    assert "Limit 30, Used 28, Requested 14" in refused.text
    assert refused.headers["retry-after-ms"] == "54000"


async def test_a_call_larger_than_the_whole_limit_is_told_so(start: Start, clock: HandClock) -> None:
    """Waiting would be in vain, so no wait is stated."""
    refused = await chat(await start(tokens_per_minute=5, clock=clock))
    assert refused.status_code == 429
    assert "Request too large" in refused.text
    assert "retry-after" not in refused.headers


async def test_keys_have_limits_of_their_own(start: Start, clock: HandClock) -> None:
    """One key's use does not refuse another's call."""
    world = await start(requests_per_minute=1, clock=clock)
    statuses = [(await chat(world, key)).status_code for key in ("sk-a", "sk-a", "sk-c")]
    assert statuses == [200, 429, 200]


async def test_concurrency_is_counted_until_the_answer_has_ended(start: Start) -> None:
    """A second call is refused while the first runs, and passes afterwards."""
    world = await start(concurrency=1)
    http = await world.http()
    slow = chat_body(stream=True)
    async with http.stream(
        "POST", "/v1/chat/completions", json=slow, headers={"x-simulate-interval-ms": "60000"}
    ) as running:
        parts = running.aiter_bytes()
        await anext(parts)
        refused = await chat(world)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "concurrent requests: Limit 1, Used 1" in refused.text
    await world.simulator.ledger.settled()
    assert (await chat(world)).status_code == 200


async def test_anthropic_states_resets_as_instants(start: Start, clock: HandClock) -> None:
    """The other face shows the same window in its own headers."""
    world = await start(requests_per_minute=1, clock=clock, wall_clock=lambda: 1_700_000_000.0)
    http = await world.http()
    body = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    answers = [await http.post("/v1/messages", json=body, headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 429]
    assert answers[1].json()["error"]["type"] == "rate_limit_error"
    assert "1 requests per minute" in answers[1].text
    assert answers[1].headers["retry-after"] == "60"
    assert answers[1].headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert answers[1].headers["anthropic-ratelimit-requests-reset"] == "2023-11-14T22:14:20Z"
