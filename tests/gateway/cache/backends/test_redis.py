"""The store in Redis: the contract beside a real server, and everything that can be wrong with one."""

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.cache.backend import Place, Store
from gateway.cache.backends import redis
from gateway.cache.backends.redis import BACKEND
from gateway.model.clock import SystemClock
from gateway.redis_link import RedisLink
from tests.gateway.cache.contract import Opening, StoreContract
from tests.redis_server import RedisServer, redis_server

SECRET = b"s" * 32


@pytest.fixture(scope="module")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def server(kept_server: RedisServer) -> RedisServer:
    """Empty, and without what an earlier test did to it."""
    with kept_server.client() as client:
        client.flushall()
    return kept_server


@pytest.fixture
async def link(server: RedisServer) -> AsyncIterator[RedisLink]:
    made = RedisLink(server.url, SystemClock())
    assert await made.look()
    yield made
    await made.close()


class TestRedisStore(StoreContract):
    @pytest.fixture
    def opening(self, link: RedisLink, monkeypatch: pytest.MonkeyPatch) -> Opening:
        for limit in (
            "TURN_SECONDS",
            "GET_SECONDS",
            "PUT_SECONDS",
            "REST_SECONDS",
        ):  # what is given is meant here, not how soon
            monkeypatch.setattr(redis, limit, 20.0)
        numbers = iter(range(1_000))

        def under_names_of_its_own(max_bytes: int) -> Store:
            return BACKEND.open(Place(max_bytes, None, SECRET, link, f"test-{next(numbers)}:"))

        return under_names_of_its_own
