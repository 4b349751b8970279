"""Rate limits, with time moved by hand."""

import httpx2
import pytest

from gateway.simulate.limits import SlidingWindow, TokenBucket, go_duration
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


def test_a_bucket_gives_its_capacity_at_once_and_then_fills_steadily() -> None:
    """Sixty a minute are one each second, however little of one there is."""
    bucket = TokenBucket(60, capacity=3)
    assert (bucket.remaining(0.0), bucket.reset_seconds(0.0)) == (3, 0.0)
    bucket.add(3, 0.0)
    assert bucket.wait_seconds(1, 0.25) == 0.75
    assert bucket.wait_seconds(2, 0.25) == 1.75
    assert (bucket.wait_seconds(1, 1.0), bucket.remaining(1.5), bucket.reset_seconds(1.5)) == (0.0, 1, 1.5)
    assert (bucket.remaining(99.0), bucket.used) == (3, 57)


def test_a_call_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt() -> None:
    """As long as it is not larger than what a minute gives."""
    bucket = TokenBucket(60, capacity=3)
    bucket.add(1, 0.0)
    assert bucket.wait_seconds(10, 0.0) == 1.0
    assert bucket.wait_seconds(10, 1.0) == 0.0
    bucket.add(10, 1.0)
    assert (bucket.remaining(1.0), bucket.used) == (0, 60)
    assert bucket.wait_seconds(1, 1.0) == 8.0
    assert bucket.reset_seconds(1.0) == 10.0
    assert bucket.wait_seconds(60, 1.0) == 10.0
    assert bucket.wait_seconds(61, 1.0) is None


def test_a_refused_call_empties_a_bucket_and_makes_no_debt() -> None:
    bucket = TokenBucket(60, capacity=3)
    bucket.add(3, 0.0)
    for _ in range(5):
        bucket.add_refused(1, 0.5)
    assert bucket.wait_seconds(1, 0.5) == 1.0
    bucket.add(10, 1.5)
    bucket.add_refused(1, 1.5)
    assert bucket.wait_seconds(1, 1.5) == 10.0


async def test_a_burst_passes_at_once_and_the_rest_at_the_rate(start: Start, clock: HandClock) -> None:
    """The headers tell limit, level and the time until the bucket is full; the wait is exact."""
    world = await start(requests_per_minute=120, burst=2, clock=clock)
    first = await chat(world)
    shown = [first.headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining", "reset")]
    assert shown == ["120", "1", "500ms"]
    assert (await chat(world)).status_code == 200
    clock.advance(0.125)
    refused = await chat(world)
    assert (refused.status_code, refused.headers["retry-after-ms"]) == (429, "375")
    assert "(RPM): Limit 120, Used 120, Requested 1. Please try again in 375ms." in refused.text
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] == "875ms"
    clock.advance(0.375)
    assert [(await chat(world)).status_code for _ in range(2)] == [200, 429]


async def test_tokens_can_be_a_bucket_too(start: Start, clock: HandClock) -> None:
    """Fourteen tokens a call: more than the bucket holds, so each waits until it is full."""
    world = await start(tokens_per_minute=60, burst_tokens=10, clock=clock)
    assert (await chat(world)).headers["x-ratelimit-remaining-tokens"] == "0"
    refused = await chat(world)
    assert (refused.json()["error"]["type"], refused.headers["retry-after-ms"]) == ("tokens", "14000")
    clock.advance(14)
    assert (await chat(world)).status_code == 200
    too_large = await chat(world, text="word " * 200)
    assert "Request too large" in too_large.text
    assert "retry-after" not in too_large.headers


async def test_a_strict_provider_counts_what_it_refused(start: Start, clock: HandClock) -> None:
    """Whoever knocks again too soon waits as long as before, and is told so."""
    world = await start(requests_per_minute=120, burst=2, count_refused=True, clock=clock)
    statuses, waits = [], []
    for pause in (0, 0, 0.25, 0.25, 0.5):
        clock.advance(pause)
        answer = await chat(world)
        statuses.append(answer.status_code)
        waits.append(answer.headers.get("retry-after-ms"))
    assert statuses == [200, 200, 429, 429, 200]
    assert waits == [None, None, "500", "500", None]


async def test_a_strict_window_holds_what_it_refused(start: Start, clock: HandClock) -> None:
    """Two calls pass, three are refused a second later: a minute later they still fill the window."""
    world = await start(requests_per_minute=2, count_refused=True, clock=clock)
    assert [(await chat(world)).status_code for _ in range(2)] == [200, 200]
    clock.advance(1)
    refused = [await chat(world) for _ in range(3)]
    assert {(one.status_code, one.headers["x-ratelimit-remaining-requests"]) for one in refused} == {(429, "0")}
    clock.advance(59)
    again = await chat(world)
    assert (again.status_code, again.headers["retry-after-ms"]) == (429, "1000")
    clock.advance(1)
    assert (await chat(world)).status_code == 200


async def test_a_provider_can_be_silent_about_its_limits(start: Start, clock: HandClock) -> None:
    """Only a refusal says something, and not even that one has to say when to come again."""
    headers = {"anthropic-version": "2023-06-01", "x-api-key": KEY}
    for retry_after in (True, False):
        world = await start(requests_per_minute=1, state_limits=False, retry_after=retry_after, clock=clock)
        http = await world.http()
        body = chat_body(max_tokens=9)
        answers = [await chat(world) for _ in range(2)]
        answers.append(await http.post("/v1/messages", json=body, headers=headers))
        assert [answer.status_code for answer in answers] == [200, 429, 429]
        assert not [name for answer in answers for name in answer.headers if "ratelimit" in name]
        assert ["retry-after" in answer.headers for answer in answers] == [False, retry_after, retry_after]
        assert "try again in 1m0s" in answers[1].text


async def test_limits_change_while_it_runs_and_what_was_used_stays_used(start: Start, clock: HandClock) -> None:
    world = await start(requests_per_minute=60, burst=10, tokens_per_minute=1_000, clock=clock)
    http = await world.http()
    for _ in range(4):
        await chat(world)
    changed = await http.post(
        "/_simulate/limits", json={"requests_per_minute": 30, "burst": 5, "tokens_per_minute": 80}
    )
    assert changed.json() == {
        "limits": {
            "requests_per_second": None, "requests_per_minute": 30, "tokens_per_minute": 80, "burst": 5,
            "burst_tokens": None, "concurrency": None,
        }
    }  # fmt: skip
    shown = (await chat(world)).headers
    assert (shown["x-ratelimit-limit-requests"], shown["x-ratelimit-remaining-requests"]) == ("30", "4")
    assert (shown["x-ratelimit-limit-tokens"], shown["x-ratelimit-remaining-tokens"]) == ("80", "10")
    assert (await chat(world)).json()["error"]["type"] == "tokens"
    await http.post("/_simulate/limits", json={"tokens_per_minute": None, "burst": 20})
    answers = [await chat(world) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert answers[-1].headers["retry-after-ms"] == "2000"
    await http.post("/_simulate/limits", json={"burst": None})
    assert (await chat(world)).headers["x-ratelimit-remaining-requests"] == "29"


async def test_a_limit_that_comes_or_goes_while_it_runs_is_for_all_keys(start: Start, clock: HandClock) -> None:
    world = await start(clock=clock)
    http = await world.http()
    keys = ("sk-a", "sk-c")
    assert [(await chat(world, key)).status_code for key in keys] == [200, 200]
    await http.post("/_simulate/limits", json={"requests_per_second": 1})
    assert [(await chat(world, key)).status_code for key in keys * 2] == [200, 200, 429, 429]
    await http.post("/_simulate/reset")
    assert [(await chat(world, key)).status_code for key in keys * 2] == [200, 200, 429, 429]
    await http.post("/_simulate/limits", json={"requests_per_second": None})
    assert [(await chat(world, key)).status_code for key in keys] == [200, 200]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"rpm": 5}', "rpm: no such limit; there are requests_per_second, "),
        (b'{"burst": 0}', "burst: 0 is neither a whole number from 1 nor null"),
        (b'{"burst": true}', "burst: True"),
        (b'{"requests_per_minute": 9, "burst": "5"}', "burst: '5'"),
        (b'{"burst_tokens": 1.5}', "burst_tokens: 1.5"),
        (b"[]", "no JSON object"),
        (b"", "no JSON object"),
    ],
)
async def test_nonsense_changes_no_limit(start: Start, body: bytes, named: str) -> None:
    world = await start(requests_per_minute=7)
    answer = await (await world.http()).post("/_simulate/limits", content=body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert world.simulator.config.requests_per_minute == 7


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
