"""What was asked with temperature 0 is answered again without asking; nothing else is, and never for another key."""

from typing import Any

import pytest

from tests.e2e.world import Job, World, job

ZERO: dict[str, Any] = {"temperature": 0}
APIS = ("chat", "responses", "messages")


def again(asked: Job, **changed: Any) -> Job:
    """Ask the same; the mark of the test must not change with it."""
    return asked | changed


def zero(api: str, prompt: str, **more: Any) -> Job:
    # Anthropic's SDK has no argument of that name any more; its API takes the field.
    return job(api, prompt, more={"extra_body": ZERO} if api == "messages" else ZERO, **more)


@pytest.mark.parametrize("api", APIS)
def test_the_second_time_the_provider_is_not_asked(world: World, api: str) -> None:
    asked = zero(api, f"a static prompt by {api}")
    first, second = world.proxied.ask([asked, again(asked)], together=False)
    assert first["text"] == second["text"] == f"Echo: a static prompt by {api}"
    assert len(world.provider.rows(asked["key"])) == 1
    assert first["headers"]["cache-status"].startswith("whygate; fwd=miss")
    assert second["headers"]["cache-status"].startswith("whygate; hit")
    assert "age=" in second["headers"]["cache-status"]
    assert [world.row(result)["cache"] for result in (first, second)] == ["stored", "hit"]
    hit = world.row(second)
    assert (hit["status"], hit["cause"], hit["attempts"]) == (200, None, [])
    assert hit["model"] == asked["model"]


@pytest.mark.parametrize("api", APIS)
def test_a_stream_is_played_again_byte_for_byte(world: World, api: str) -> None:
    asked = zero(api, f"a static stream by {api}", stream=True)
    raw, replay, read = world.proxied.ask(
        [again(asked, raw=True), again(asked, raw=True), again(asked, style="sync")], together=False
    )
    assert raw["sha256"] == replay["sha256"]
    assert replay["headers"]["content-type"] == raw["headers"]["content-type"]
    assert read["error"] is None
    assert read["text"] == f"Echo: a static stream by {api}"
    assert read["headers"]["cache-status"].startswith("whygate; hit")
    assert len(world.provider.rows(asked["key"])) == 1


def test_another_key_is_another_question(world: World) -> None:
    asked = zero("chat", "a prompt of two keys")
    other = zero("chat", "a prompt of two keys")
    for result in world.proxied.ask([asked, other], together=False):
        assert result["headers"]["cache-status"].startswith("whygate; fwd=miss")
    assert len(world.provider.rows(asked["key"])) == len(world.provider.rows(other["key"])) == 1


def test_a_call_can_go_past_the_cache(world: World) -> None:
    asked = zero("chat", "a prompt past the cache")
    past = again(asked, headers=asked["headers"] | {"x-whygate-cache": "no-cache"})
    _, bypassed = world.proxied.ask([asked, past], together=False)
    assert bypassed["headers"]["cache-status"] == 'whygate; fwd=request; detail="the call asks for a new answer"'
    assert world.row(bypassed)["cache"] == "bypass"
    assert len(world.provider.rows(asked["key"])) == 2


@pytest.mark.parametrize("more", [{}, {"temperature": 0.7}], ids=["absent", "0.7"])
def test_without_temperature_zero_every_call_is_asked(world: World, more: dict[str, Any]) -> None:
    asked = job("chat", f"a lively prompt with {more}", more=more)
    results = world.proxied.ask([asked, again(asked)], together=False)
    assert len(world.provider.rows(asked["key"])) == 2
    assert [world.row(result)["cache"] for result in results] == ["none", "none"]


def test_a_failure_is_not_kept(world: World) -> None:
    """It fails as often as it is tried for one call."""
    asked = zero("chat", "a prompt that fails thrice", model="simulate:service.server_error?times=3", max_retries=0)
    failed, good = world.proxied.ask([asked, again(asked)], together=False)
    assert failed["error"]["status"] == 500
    assert good["error"] is None
    assert world.row(good)["cache"] == "stored"


def test_a_broken_stream_is_not_kept(world: World) -> None:
    asked = zero("chat", "a stream that breaks once", stream=True, model="simulate:service.stream_truncated?times=1")
    broken, good = world.proxied.ask([asked, again(asked)], together=False)
    assert broken["error"] is not None
    assert good["text"] == "Echo: a stream that breaks once"
    assert len(world.provider.rows(asked["key"])) == 2
