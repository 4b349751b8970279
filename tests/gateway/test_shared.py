"""What the gateways of a team have in common: one secret from a file or from Redis, and the way there."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.files import StateError
from gateway.model.clock import SystemClock
from gateway.ports import StartError
from gateway.settings import Settings
from gateway.shared import Shared, open_link, own_secret
from gateway.state import State
from tests.redis_server import RedisServer, redis_server

OWN = b"o" * 32
CANARY = "canary-of-the-team-0123456789abcdef"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, password=CANARY) as made:
        yield made


def settings_for(server: RedisServer, **team: object) -> Settings:
    return Settings.model_validate({"team": {"redis": server.url, **team}})


@asynccontextmanager
async def a_team(server: RedisServer, own: bytes = OWN, **changes: object) -> AsyncIterator[Shared]:
    made = Shared(settings_for(server, **changes), SystemClock(), own)
    try:
        yield made
    finally:
        await made.close()


def left(server: RedisServer) -> bytes | None:
    with server.client() as client:
        found: bytes | None = client.get("whygate:secret")
        return found


async def test_who_has_no_redis_is_alone_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    team = Shared(Settings(), SystemClock(), OWN)
    await team.meet()
    await team.run()
    await team.close()
    assert (team.link, team.secret, caplog.records) == (None, OWN, [])
    assert open_link(Settings(), SystemClock()) is None


async def test_the_first_makes_a_secret_and_all_others_take_it(server: RedisServer) -> None:
    async with a_team(server, b"1" * 32) as first, a_team(server, b"2" * 32) as second:
        await asyncio.gather(first.meet(), second.meet())
        assert first.secret == second.secret
        assert first.secret not in {b"1" * 32, b"2" * 32}, "what keys this machine's own log stays here"
        assert left(server) == first.secret.hex().encode()
        async with a_team(server, redis_prefix="other:") as other:
            await other.meet()
            assert other.secret != first.secret


async def test_who_has_the_teams_file_leaves_nothing_in_redis(server: RedisServer, tmp_path: Path) -> None:
    async with a_team(server, secret_file=tmp_path / "secret") as team:
        await team.meet()
        assert team.link is not None
        assert (team.link.is_up, team.secret) == (True, OWN)
    assert left(server) is None


@pytest.mark.parametrize(
    ("end", "again"), [(RedisServer.kill, RedisServer.start), (RedisServer.freeze, RedisServer.thaw)]
)
async def test_without_redis_a_gateway_starts_with_its_own_secret_and_says_so(
    server: RedisServer, caplog: pytest.LogCaptureFixture, end: object, again: object
) -> None:
    end(server)  # type: ignore[operator]
    async with asyncio.timeout(10), a_team(server) as team:
        await team.meet()
        assert team.secret == OWN
        (record,) = caplog.records
        assert "a secret of its own" in record.getMessage()
        assert "secret_file" in record.getMessage()
        again(server)  # type: ignore[operator]
        assert team.link is not None
        assert await team.link.look()
    assert "Redis can be used again" in caplog.records[-1].getMessage()
    assert CANARY not in caplog.text


async def test_a_wrong_password_is_named_and_never_shown(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    server.password = "not-the-canary"
    async with a_team(server) as team:
        await team.meet()
    server.password = CANARY
    assert "password" in caplog.text
    assert "not-the-canary" not in caplog.text


async def test_something_else_under_the_secrets_name_stops_the_start(server: RedisServer) -> None:
    with server.client() as client:
        client.set("whygate:secret", "somebody's")
    async with a_team(server) as team:
        with pytest.raises(StartError, match="no secret") as caught:
            await team.meet()
    assert "redis-cli DEL whygate:secret" in caught.value.fix
    assert "somebody" not in str(caught.value)


async def test_a_server_that_came_back_empty_is_given_the_secret_again(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_team(server) as team, asyncio.timeout(20):
        await team.meet()
        assert team.link is not None
        running = asyncio.ensure_future(team.run())
        for secret_there in (None, b"f" * 64):
            server.kill()
            while team.link.is_up:
                await team.link.look()
            server.start()
            if secret_there is not None:
                with server.client() as client:
                    client.set("whygate:secret", secret_there)
            while left(server) is None or (secret_there and "Start this one again" not in caplog.text):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)
            assert left(server) == (secret_there or team.secret.hex().encode())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    "text", [b"x" * 32, bytes(range(200)), b"a secret that is long enough for it\r\n", b"y" * 65_536]
)
def test_the_teams_file_makes_a_secret_of_32_bytes(tmp_path: Path, text: bytes) -> None:
    file, state = tmp_path / "secret", State.open(tmp_path / "state")
    file.write_bytes(text)
    settings = Settings.model_validate({"team": {"secret_file": file}})
    assert own_secret(settings, state) == sha256(text.rstrip(b"\r\n")).digest()
    assert not state.fingerprint_key_file.exists()


def test_without_a_file_the_state_directory_has_the_secret(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state")
    assert own_secret(Settings(), state) == state.fingerprint_key()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "too short (0 bytes"),
        (b"x" * 31 + b"\n", "too short (31 bytes"),
        (b"x" * 65_537, "larger than"),
        (None, "cannot be read (No such file"),
    ],
)
def test_a_teams_file_that_is_of_no_use_is_an_error_with_its_fix(tmp_path: Path, text: bytes | None, told: str) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(StateError) as caught:
        own_secret(Settings.model_validate({"team": {"secret_file": file}}), State.open(tmp_path / "state"))
    assert told in caught.value.what
    assert caught.value.where == str(file)
    assert f"openssl rand -hex 32 > {file}" in caught.value.fix


def test_a_teams_file_that_is_none_does_not_hold_up_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(StateError):
            own_secret(Settings.model_validate({"team": {"secret_file": path}}), State.open(tmp_path / "state"))
