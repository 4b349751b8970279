"""Two gateways with one Redis: what one has asked the other gives, with the official SDKs; and Redis may be gone."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.test_cache import APIS, again, zero
from tests.e2e.world import Provider, World
from tests.redis_server import RedisServer, redis_server
from tests.running import GatewayProcess, config_for

Joining = Callable[..., World]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), password="canary-of-redis") as made:
        yield made


@pytest.fixture
def join(server: RedisServer, tmp_path: Path) -> Iterator[Joining]:
    """Starts one more gateway before the same provider: with the team's secret in a file, or without one."""
    with ExitStack() as stack:
        provider = Provider()
        stack.callback(provider.close)
        worlds: list[World] = []

        def one_more(secret: str | None) -> World:
            directory = tmp_path / f"gateway-{len(worlds)}"
            directory.mkdir()
            team = f'[team]\nredis = "{server.url}"\n'
            if secret is not None:
                (directory / "secret").write_text(secret)
                team += f'secret_file = "{directory}/secret"\n'
            gateway = GatewayProcess(directory, config_for(provider.port, team))
            worlds.append(World(provider, gateway, directory))
            stack.callback(worlds[-1].close)
            return worlds[-1]

        yield one_more
        logs = "".join(world.gateway.log.read_text() for world in worlds)
        assert "canary-of-redis" not in logs
        assert "Traceback" not in logs


@pytest.mark.parametrize("secret", ["s" * 32, None], ids=["a file", "in Redis"])
def test_what_one_gateway_stored_another_gives(join: Joining, secret: str | None) -> None:
    one, other = join(secret), join(secret)
    for api in APIS:
        asked = zero(api, f"a prompt for the team by {api}")
        first, second = one.proxied.ask_one(asked), other.proxied.ask_one(again(asked))
        assert first["text"] == second["text"] == f"Echo: a prompt for the team by {api}"
        assert (one.row(first)["cache"], other.row(second)["cache"]) == ("stored", "hit")
        assert second["headers"]["cache-status"].startswith("whygate; hit")
        assert len(one.provider.rows(asked["key"])) == 1
        stranger = other.proxied.ask_one(zero(api, f"a prompt for the team by {api}"))
        assert other.row(stranger)["cache"] == "stored", "and never for another key"
    assert "WARNING" not in one.gateway.log.read_text() + other.gateway.log.read_text()


def test_gateways_with_different_secrets_share_nothing_and_raise_no_alarm(join: Joining) -> None:
    one, other = join(secrets.token_hex(16)), join(secrets.token_hex(16))
    asked = [zero("chat", f"prompt {number} of strangers") for number in range(10)]
    for world in (one, other, one, other):
        results = world.proxied.ask([again(job) for job in asked], together=False)
        assert [result["error"] for result in results] == [None] * len(asked)
    assert [len(one.provider.rows(job["key"])) for job in asked] == [2] * len(asked), "each gateway asked once"
    logs = one.gateway.log.read_text() + other.gateway.log.read_text()
    assert "whygate:" not in logs


def test_calls_go_on_while_redis_is_gone_and_share_again_when_it_is_back(join: Joining, server: RedisServer) -> None:
    one, other = join(None), join(None)
    asked = zero("chat", "a prompt through the outage")
    assert one.row(one.proxied.ask_one(asked))["cache"] == "stored"
    for end in (server.kill, server.freeze):
        end()
        try:
            results = other.proxied.ask([zero("chat", f"while it is gone {n}") for n in range(20)])
            assert [result["error"] for result in results] == [None] * 20
            rows = [other.row(result) for result in results]
            assert {row["cache"] for row in rows} == {"none"}, "nothing is stored"
            assert max(row["overhead_ms"] for row in rows) < 1_000
        finally:
            server.restart()
        shared = zero("chat", f"after {end.__name__}")
        one.gateway.until(lambda job=shared: one.row(one.proxied.ask_one(again(job)))["cache"] == "hit", 15)  # type: ignore[misc]
        assert other.gateway.until(
            lambda job=shared: other.row(other.proxied.ask_one(again(job)))["cache"] == "hit",  # type: ignore[misc]
            15,
        )
    told = [line for line in other.gateway.log.read_text().splitlines() if "whygate:" in line]
    assert 1 <= len(told) <= 8, told


def test_a_gateway_starts_without_redis(join: Joining, server: RedisServer) -> None:
    server.kill()
    try:
        alone = join(None)
        assert alone.proxied.ask_one(zero("chat", "nobody is there"))["error"] is None
        log = alone.gateway.log.read_text()
    finally:
        server.start()
    assert "Redis cannot be used" in log
    assert "a secret of its own" in log


def test_a_secret_that_is_too_short_stops_the_start(join: Joining) -> None:
    with pytest.raises(RuntimeError, match="too short") as caught:
        join("short")
    assert "openssl rand" in str(caught.value)
