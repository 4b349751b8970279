"""The real redis-server of the tests does what its methods say."""

from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, OutOfMemoryError, ReadOnlyError, RedisError

from tests.redis_server import redis_server


def test_it_comes_back_empty_on_the_same_port(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        port = server.port
        with server.client() as client:
            client.set("a", "1")
        server.restart()
        with server.client() as client:
            assert (server.port, client.get("a")) == (port, None)
        server.kill()
        with server.client(0.5) as client, pytest.raises(RedisError):
            client.ping()
    assert not list(tmp_path.glob("*.rdb"))


def test_a_frozen_one_answers_when_it_thaws_and_can_be_ended(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.freeze()
        with server.client(0.1) as client, pytest.raises(RedisError):
            client.ping()
        server.thaw()
        with server.client() as client:
            assert client.ping()
        server.freeze()


def test_a_full_one_and_a_replica_take_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path) as primary, redis_server(tmp_path) as other:
        other.replica_of(primary)
        with other.client() as client:
            with pytest.raises(ReadOnlyError):
                client.set("a", "1")
            other.replica_of(None)
            other.config_set("maxmemory", "1")
            with pytest.raises(OutOfMemoryError):
                client.set("a", "1")


def test_who_has_no_password_is_refused(tmp_path: Path) -> None:
    with redis_server(tmp_path, password="p@ss:/?#") as server:
        assert "p@ss" not in server.url
        server.password = ""
        with server.client() as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
