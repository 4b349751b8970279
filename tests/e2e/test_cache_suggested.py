"""What comes again and again is noticed, told with the rule that would save it, and that rule works; clearing clears."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.test_cache import again, zero
from tests.e2e.world import World, job, new_world
from tests.running import CLEAN, ROOT, GatewayProcess

SECRET_WORDS = "what nobody may read in a file"


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as made:
        yield made


def told(world: World) -> dict[str, Any]:
    gateway = world.gateway
    answer = httpx2.get(
        f"http://{gateway.runtime['page']}/api/cache",
        headers={"authorization": f"Bearer {gateway.runtime['token']}"},
        trust_env=False,
    )
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def whygate(world: World, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--state", str(world.gateway.state)],
        capture_output=True, text=True, cwd=ROOT, env=CLEAN | {"COLUMNS": "120"}, timeout=30, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_static_prompt_is_found_and_its_rule_saves_it(alone: World) -> None:
    messages = [{"role": "system", "content": SECRET_WORDS}, {"role": "user", "content": "ticket 1"}]
    asked = job("chat", "x", more={"messages": messages})

    def suggestion() -> dict[str, Any] | None:
        assert alone.proxied.ask_one(again(asked))["error"] is None
        return next(iter(told(alone)["suggestions"]), None)

    found = alone.gateway.until(suggestion, 15)
    assert found["seen"] >= 3
    assert found["tokens_in"] > 0
    assert found["usd"] > 0
    text = whygate(alone, "cache", "suggest")
    assert f"seen {found['seen']} times, would have saved" in text
    assert "[[cache.rules]]" in text
    (rule,) = tomllib.loads(found["rule"])["cache"]["rules"]
    assert rule["model"] == asked["model"]
    alone.gateway.stop()
    files = [file for file in alone.gateway.state.rglob("*") if file.is_file()]
    assert [file.name for file in files if SECRET_WORDS.encode() in file.read_bytes()] == []
    assert "would have saved" in whygate(alone, "cache", "suggest")
    for app in alone._apps.values():
        app.close()
    alone._apps.clear()
    alone.gateway = GatewayProcess(alone.directory, alone.gateway.config.read_text() + "\n" + found["rule"])
    assert alone.row(alone.proxied.ask_one(again(asked)))["cache"] == "stored"
    # On a busy machine the file may not answer within its 50 ms; the call is then asked, and that is right, too.
    assert alone.gateway.until(lambda: alone.row(alone.proxied.ask_one(again(asked)))["cache"] == "hit")


def test_what_was_saved_is_told_and_what_is_cleared_is_gone_from_the_file(alone: World) -> None:
    asked = zero("chat", f"repeat {SECRET_WORDS}")
    alone.proxied.ask([asked, again(asked), again(asked)], together=False)
    document = told(alone)
    assert document["results"] == {"hit": 2, "stored": 1, "collapsed": 0, "stale": 0, "bypass": 0}
    assert document["saved"]["calls"] == 2
    assert document["saved"]["usd"] > 0
    assert (document["backend"], document["entries"]) == ("sqlite", 1)
    assert "2 calls answered from the cache" in whygate(alone, "cache", "stats")
    assert "1 " in whygate(alone, "cache", "clear", "--model", "gpt-4o*")
    kept = [file for file in alone.gateway.state.glob("cache.db*") if SECRET_WORDS.encode() in file.read_bytes()]
    assert kept == []
    assert alone.row(alone.proxied.ask_one(again(asked)))["cache"] == "stored"
