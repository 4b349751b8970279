"""Limits that nobody configured: learned from answers and refusals, kept over a restart, shown to who asks."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.world import World, job, new_key, new_world
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

ORGANISATION = (("openai-organization", "org-of-both"),)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider that lets 20 calls a second and five at once, and a gateway that was told nothing."""
    with new_world(tmp_path_factory.mktemp("strict"), requests_per_minute=1200, burst=5) as made:
        yield made


def limits(world: World) -> dict[str, Any]:
    runtime = world.gateway.runtime
    answer = httpx2.get(
        f"http://{runtime['page']}/api/limits",
        headers={"authorization": f"Bearer {runtime['token']}"},
        trust_env=False,
    )
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def scope_of(world: World, model: str) -> dict[str, Any]:
    (found,) = [scope for scope in limits(world)["scopes"] if scope["model"] == model]
    scope: dict[str, Any] = found
    return scope


def test_a_limit_that_nobody_told_us_is_kept_from_the_second_call_on(strict: World) -> None:
    """Sixty calls at once without retries of their own: the provider would refuse 55 of them."""
    key = new_key()
    jobs = [job("chat", f"number {n}", key=key, max_retries=0, model="gpt-learned") for n in range(60)]
    began = time.monotonic()
    results = strict.proxied.ask(jobs)
    assert [result["error"] for result in results] == [None] * 60
    assert time.monotonic() - began >= 2.5, "no faster than the limit allows"
    statuses = [row.status for row in strict.provider.rows(key)]
    assert statuses.count(200) == 60
    assert len(statuses) <= 62, "on a busy machine one may come a moment early"
    scope = scope_of(strict, "gpt-learned")
    (requests,) = [limit for limit in scope["limits"] if limit["kind"] == "requests"]
    assert (requests["limit"], requests["window_seconds"], requests["burst"]) == (1200, 60.0, 5.0)
    assert (requests["source"], requests["enforced"], requests["remembered"]) == ("headers", True, False)
    assert (scope["in_flight"], scope["queued"]) == (0, 0)


def test_anthropics_limit_is_learned_from_its_own_headers(strict: World) -> None:
    key = new_key("anthropic")
    jobs = [job("messages", f"number {n}", key=key, max_retries=0, model="claude-learned") for n in range(30)]
    results = strict.proxied.ask(jobs)
    assert [result["error"] for result in results] == [None] * 30
    assert len(strict.provider.rows(key)) <= 32
    (requests,) = [one for one in scope_of(strict, "claude-learned")["limits"] if one["kind"] == "requests"]
    assert (requests["limit"], requests["window_seconds"], requests["source"]) == (1200, 60.0, "headers")


def test_a_provider_that_states_nothing_is_found_out_by_its_refusals(tmp_path: Path) -> None:
    """No app sees one of them: everybody is held until the stated time, and goes on more slowly."""
    with new_world(tmp_path, requests_per_minute=1200, burst=5, state_limits=False) as world:
        key = new_key()
        results = world.proxied.ask([job("chat", f"number {n}", key=key, max_retries=0) for n in range(40)])
        assert [result["error"] for result in results] == [None] * 40
        refused = [row for row in world.provider.rows(key) if row.status == 429]
        assert 0 < len(refused) <= 12
        rows = [world.row(result) for result in results]
        assert sum(len(row["attempts"]) - 1 for row in rows) == len(refused)


def test_who_uses_a_limit_is_named_by_its_program(strict: World) -> None:
    key = new_key()
    assert strict.proxied.ask_one(job("chat", key=key, model="gpt-named"))["error"] is None

    def named() -> bool:
        (user,) = scope_of(strict, "gpt-named")["users"]
        return bool(
            user["client"] == f"python3 caller.py (pid {strict.proxied.process.pid})" or "caller.py" in user["client"]
        )

    assert GatewayProcess.until(named)


def test_what_is_known_can_be_read_in_a_terminal(strict: World) -> None:
    assert strict.proxied.ask_one(job("chat", model="gpt-shown"))["error"] is None
    command = [sys.executable, "-m", "gateway", "limits", "--state", str(strict.gateway.state)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=CLEAN, timeout=30).stdout
    assert "gpt-shown" in shown
    assert "1,200 a minute" in shown
    assert "learned from headers" in shown
    told = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=True, cwd=ROOT, env=CLEAN, timeout=30
    ).stdout
    assert any(scope["model"] == "gpt-shown" for scope in json.loads(told)["scopes"])


@pytest.mark.parametrize("cause", ["quota.exhausted", "rate_limit.daily"])
def test_what_waiting_does_not_cure_is_given_on_at_once_and_holds_nobody(strict: World, cause: str) -> None:
    """So that an account that was topped up works with the very next call."""
    key, model = new_key(), f"gpt-{cause}"
    for _ in range(3):
        asked = job("chat", key=key, model=model, max_retries=2, headers={"x-simulate": cause})
        result = strict.proxied.ask_one(asked)
        assert result["error"]["kind"] == "RateLimitError"
        assert result["error"]["headers"]["x-whygate-cause"] == cause
        assert result["error"]["headers"]["x-should-retry"] == "false"
        assert strict.row(result)["queue_ms"] < 1_000
    assert len(strict.provider.rows(key)) == 3, "neither we nor the SDK has tried again"
    good = strict.proxied.ask_one(job("chat", key=key, model=model))
    assert good["error"] is None
    assert strict.row(good)["queue_ms"] < 1_000


CONFIGURED = """
[[limits.rules]]
provider = "openai"
model = "kept"
rpm = 2
[[limits.rules]]
provider = "openai"
model = "small"
tpm = 200
[[limits.rules]]
provider = "openai"
model = "dear"
tpm = 6_000
"""


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider without limits, and a gateway with some."""
    with new_world(tmp_path_factory.mktemp("configured"), CONFIGURED) as made:
        yield made


def test_a_call_that_is_larger_than_the_whole_limit_is_refused_at_once_with_the_numbers(configured: World) -> None:
    key = new_key()
    result = configured.proxied.ask_one(job("chat", "word " * 400, key=key, model="small"))
    error = result["error"]
    assert error["status"] == 413
    assert error["headers"]["x-whygate-cause"] == "proxy.request_too_large"
    assert error["headers"]["x-should-retry"] == "false"
    assert "limit of 200 tokens per minute" in error["body"]["message"]
    assert error["headers"]["ratelimit-policy"] == '"tokens";q=200;qu="tokens";w=60'
    assert configured.provider.rows(key) == []


def test_tokens_are_counted_as_the_provider_counts_them_and_not_as_we_guessed(configured: World) -> None:
    """Each is taken for over 500 tokens at first and costs less than 20: more fit than the guess would let through."""
    key = new_key()
    jobs = [job("chat", f"{n}", key=key, model="dear", timeout=20.0, max_retries=0) for n in range(40)]
    results = configured.proxied.ask(jobs)
    assert [result["error"] for result in results] == [None] * 40
    streams = [job("chat", f"s{n}", key=key, model="dear", timeout=20.0, max_retries=0, stream=True) for n in range(20)]
    assert [result["error"] for result in configured.proxied.ask(streams)] == [None] * 20
    (tokens,) = scope_of(configured, "dear")["limits"][:1]
    assert 0 < 6_000 - tokens["level"] < 60 * 60


def test_a_restart_brings_no_second_burst(tmp_path: Path, configured: World) -> None:
    key, directory = new_key(), tmp_path / "restarted"
    for start in range(2):
        gateway = GatewayProcess(directory, config_for(configured.provider.port, CONFIGURED))
        try:
            with gateway.client() as client:
                for number in range(2):
                    answer = client.post(
                        "https://api.openai.com/v1/chat/completions",
                        json={"model": "kept", "messages": [{"role": "user", "content": f"{start} {number}"}]},
                        headers={"authorization": f"Bearer {key}", "x-whygate-timeout-ms": "3000"},
                    )
                    if start == 0:
                        assert answer.status_code == 200
                        continue
                    assert (answer.status_code, answer.headers["x-whygate-cause"]) == (429, "proxy.queue_timeout")
                    assert answer.headers["ratelimit-policy"] == '"requests";q=2;qu="requests";w=60'
                    assert answer.headers["ratelimit"].startswith('"requests";r=0;t=')
                    assert int(answer.headers["retry-after-ms"]) > 40_000
        finally:
            gateway.stop()
    assert len(configured.provider.rows(key)) == 2


def test_limits_that_are_only_watched_hold_nobody_and_say_what_they_would_do(tmp_path: Path) -> None:
    rules = CONFIGURED.replace("[[limits.rules]]", "[limits]\nshadow = true\n\n[[limits.rules]]", 1)
    with new_world(tmp_path, rules) as world:
        key = new_key()
        results = world.proxied.ask([job("chat", f"{n}", key=key, model="kept") for n in range(5)])
        assert [result["error"] for result in results] == [None] * 5
        assert max(result["seconds"] for result in results) < 5
        shadows = [world.row(result)["shadow"] for result in results]
        held = [shadow for shadow in shadows if shadow is not None]
        assert len(held) == 3
        assert {shadow["reason"] for shadow in held} == {"configured limit of 2 requests per minute"}
        assert all(50_000 < shadow["wait_ms"] <= 130_000 for shadow in held)
        assert limits(world)["shadow"] is True
