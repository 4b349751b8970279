"""A stream that breaks never looks finished, and what came before the break is not lost."""

import hashlib
import itertools
from collections.abc import Callable
from functools import cache

import pytest

from tests.e2e.world import Job, Memory, Result, World, job

PROMPT = "alpha beta gamma delta epsilon zeta eta"
PIECES = ("Echo: ", "alpha ", "beta ", "gamma ", "delta ", "epsilon ", "zeta ", "eta")
BREAKS = {
    "reset": ("network.connection_reset?after_events=3", "network.stream_interrupted"),
    "cut off": ("network.stream_interrupted?after_events=3", "network.stream_interrupted"),
    "ended without its mark": ("service.stream_truncated?after_events=3", "service.stream_truncated"),
}
"""How it breaks: what the provider is asked for, and the verdict. A reset is the network's, whatever it cut."""

APIS = ("chat", "responses", "messages")
CASES = list(itertools.product(("proxied", "based"), APIS, ("sync", "async"), [*BREAKS, "an error event"]))
Case = tuple[str, str, str, str]
Seen = Callable[[str, str, str, str], tuple[Job, Result]]


def asking(api: str, style: str, how: str) -> Job:
    asked, _ = BREAKS.get(how, ("service.stream_error?after_events=3", ""))
    # A pause before each event lets the bytes arrive before the break does.
    return job(
        api, PROMPT, style=style, stream=True, model=f"simulate:{asked}", headers={"x-simulate-interval-ms": "20"}
    )


@pytest.fixture(scope="session")
def seen(world: World) -> Seen:
    """Make all these calls once, at the same time."""

    @cache
    def everything(way: str) -> dict[tuple[str, str, str], tuple[Job, Result]]:
        keys = [key[1:] for key in CASES if key[0] == way]
        asked = [asking(*key) for key in keys]
        return dict(zip(keys, zip(asked, getattr(world, way).ask(asked), strict=True), strict=True))

    return lambda way, api, style, how: everything(way)[api, style, how]


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_broken_stream_raises_and_what_came_before_it_is_whole(world: World, seen: Seen, case: Case) -> None:
    asked, result = seen(*case)
    assert result["status"] == 200
    assert result["error"] is not None, "the stream ended as if it were whole"
    assert {"APIError", "RemoteProtocolError"} & set(result["error"]["kinds"])
    assert result["text"] == "".join(PIECES[:3])
    assert len(world.provider.rows(asked["key"])) == 1


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("how", BREAKS)
def test_a_stream_that_broke_says_why_in_the_sdks_own_exception_and_in_its_row(
    world: World, seen: Seen, api: str, how: str
) -> None:
    _, result = seen("proxied", api, "async", how)
    _, cause = BREAKS[how]
    assert "whygate: " in result["error"]["message"]
    row = world.row(result)
    assert row["cause"] in str(result["error"]["body"])
    assert (row["status"], row["cause"]) == (200, cause)
    assert len(row["attempts"]) == 1


@pytest.mark.parametrize("api", APIS)
def test_an_error_event_of_the_provider_is_passed_on_as_it_is(world: World, seen: Seen, api: str) -> None:
    asked, result = seen("proxied", api, "sync", "an error event")
    assert "whygate" not in str(result["error"]["body"])
    (sent,) = world.provider.sent(asked)
    error = result["error"]["body"]
    words = (error.get("error") or error)["message"]
    assert words.encode() in sent
    row = world.row(result)
    assert row["status"] == 200
    assert row["cause"] in {"service.stream_error", "service.overloaded", "service.server_error"}


def test_two_hundred_streams_at_once_are_whole_and_cost_little_memory(world: World) -> None:
    """One client, one event loop; half of them compared byte for byte, half read as the SDK reads them."""
    events = 60
    headers = {"x-simulate-interval-ms": "25"}
    prompts = [" ".join(f"w{number}x{word}" for word in range(events)) for number in range(200)]
    jobs = [job("chat", prompt, stream=True, headers=headers, raw=bool(n % 2)) for n, prompt in enumerate(prompts)]
    with Memory(world.gateway.process.pid) as memory:
        results = world.proxied.ask(jobs)
    for asked, result in zip(jobs, results, strict=True):
        assert result["error"] is None, result["error"]
        (sent,) = world.provider.sent(asked)
        if asked["raw"]:
            assert result["sha256"] == hashlib.sha256(sent).hexdigest()
        else:
            assert result["text"] == f"Echo: {asked['prompt']}"
    assert world.provider.simulator.ledger.max_in_flight >= 150
    counted = sum(len(body.split(b"\n\n")) - 1 for asked in jobs for body in world.provider.sent(asked))
    seconds = max(result["seconds"] for result in results)
    print(
        f"\n200 streams: {counted} events in {seconds:.2f} s ({counted / seconds:.0f}/s);"
        f" memory {memory.before:.0f} MiB before, {memory.peak:.0f} MiB at most"
    )
    assert memory.growth < 200
