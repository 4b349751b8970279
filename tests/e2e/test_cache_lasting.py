"""What is stored outlives the gateway, stands in when the provider is gone, and is never given when it was damaged."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_cache import again, zero
from tests.e2e.world import Job, World, job, new_world
from tests.running import GatewayProcess

RULES = """
[cache]
ttl_seconds = 1

[[cache.rules]]
name = "faq"
model = "gpt-4o-faq"
ttl_seconds = 600
shared = true

[[cache.rules]]
name = "pinned"
header = { "x-job" = "nightly*" }
ttl_seconds = 600
"""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path, RULES) as made:
        yield made


def _restart(world: World) -> None:
    """Another gateway in the same state directory; the app goes to where it listens now."""
    for app in world._apps.values():
        app.close()
    world._apps.clear()
    world.gateway.stop()
    world.gateway = GatewayProcess(world.directory, world.gateway.config.read_text())


def _pinned(prompt: str, **more: object) -> Job:
    return zero("chat", prompt, headers={"x-job": "nightly-1"}, **more)


def test_answers_survive_a_restart(alone: World) -> None:
    asked = _pinned("remember me")
    first = alone.proxied.ask_one(asked)
    _restart(alone)
    second = alone.proxied.ask_one(again(asked))
    assert second["text"] == first["text"]
    assert second["headers"]["cache-status"].startswith("whygate; hit")
    assert len(alone.provider.rows(asked["key"])) == 1


def test_an_old_answer_stands_in_for_a_provider_that_is_gone(alone: World) -> None:
    asked = zero("chat", "are you there", max_retries=0)
    alone.proxied.ask_one(asked)
    alone.provider.close()

    def stale() -> dict[str, object] | None:
        result = alone.proxied.ask_one(again(asked))
        assert result["error"] is None
        return result if "stale" in result["headers"]["cache-status"] else None

    found = alone.gateway.until(stale, 10)
    assert found["text"] == "Echo: are you there"
    row = alone.row(found)
    assert (row["status"], row["cache"], row["cause"]) == (200, "stale", "network.tcp_refused")
    assert row["diagnosis"]["what_happened"]
    other = alone.proxied.ask_one(zero("chat", "something new", max_retries=0))
    assert other["error"]["status"] == 502


def test_a_stream_stands_in_as_a_stream(alone: World) -> None:
    asked = _pinned("tell me a story", stream=True, max_retries=0)
    first = alone.proxied.ask_one(again(asked, raw=True))
    alone.provider.close()
    retried = again(asked, raw=True, headers=asked["headers"] | {"x-stainless-retry-count": "1"})
    again_ = alone.proxied.ask_one(retried)
    assert again_["sha256"] == first["sha256"]


def test_a_flipped_byte_is_a_miss_and_is_told(alone: World) -> None:
    asked = _pinned("do not touch")
    alone.proxied.ask_one(asked)
    alone.gateway.stop()
    with sqlite3.connect(alone.gateway.state / "cache.db") as database:
        (table,) = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "sealed" in [column[1] for column in database.execute(f"PRAGMA table_info({name})")]
        ]
        ((number, blob),) = database.execute(f"SELECT rowid, sealed FROM {table}")
        broken = blob[:-10] + bytes([blob[-10] ^ 1]) + blob[-9:]
        database.execute(f"UPDATE {table} SET sealed = ? WHERE rowid = ?", (broken, number))
    database.close()
    _restart(alone)
    result = alone.proxied.ask_one(again(asked))
    assert result["text"] == "Echo: do not touch"
    assert len(alone.provider.rows(asked["key"])) == 2
    assert "damaged" in alone.gateway.log.read_text()


def test_a_rule_may_lend_answers_to_every_key_that_the_provider_accepts(alone: World) -> None:
    one, other = (zero("chat", "what is whygate", model="gpt-4o-faq") for _ in range(2))
    alone.proxied.ask_one(one)
    first, second = alone.proxied.ask([other, again(other)], together=False)
    assert first["headers"]["cache-status"].startswith("whygate; fwd=request")
    assert second["headers"]["cache-status"].startswith("whygate; hit")
    third = alone.proxied.ask_one(again(one))
    assert third["headers"]["cache-status"].startswith("whygate; hit")
    refused = zero("chat", "what is whygate", model="gpt-4o-faq", max_retries=0)
    refused["headers"]["x-simulate"] = "auth.invalid_key"
    results = alone.proxied.ask([refused, again(refused)], together=False)
    assert [result["error"]["status"] for result in results] == [401, 401]


def test_what_no_rule_covers_is_asked_each_time(alone: World) -> None:
    asked = job("chat", "by header", more={"temperature": 0.7})
    results = alone.proxied.ask([asked, again(asked)], together=False)
    assert [alone.row(result)["cache"] for result in results] == ["none", "none"]


def test_a_rule_covers_what_it_names(alone: World) -> None:
    asked = job("chat", "by header", headers={"x-job": "nightly-7"}, more={"temperature": 0.7})
    results = alone.proxied.ask([asked, again(asked)], together=False)
    assert [alone.row(result)["cache"] for result in results] == ["stored", "hit"]
