"""The store in Redis beside a plain ordered dictionary that does the same naively, as every store is tested."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.cache.backend import Place, Store
from gateway.cache.backends import redis
from gateway.model.clock import SystemClock
from gateway.redis_link import RedisLink
from tests.gateway.cache.test_store_model import MAX_BYTES, SECRET, StoreModel
from tests.redis_server import RedisServer, redis_server

SERVERS: list[RedisServer] = []


@pytest.fixture(scope="module", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    for limit in ("TURN_SECONDS", "GET_SECONDS", "PUT_SECONDS", "REST_SECONDS"):  # what is given is meant, not how soon
        patch.setattr(redis, limit, 20.0)
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        SERVERS.append(made)
        yield
        SERVERS.clear()
    patch.undo()


class RedisModel(StoreModel):
    """Another gateway may come and go, an answer may be damaged, and Redis may forget the scripts."""

    backend = redis.BACKEND

    def opened(self, directory: Path) -> Store:
        (server,) = SERVERS
        with server.client() as client:
            client.flushall()
        self.links: list[RedisLink] = []
        return self.joined()

    def joined(self) -> Store:
        async def join() -> Store:
            link = RedisLink(SERVERS[0].url, SystemClock())
            self.links.append(link)
            assert await link.look()
            return redis.BACKEND.open(Place(MAX_BYTES, None, SECRET, link, "t:"))

        return self.do(join())

    @rule()
    def go_on_at_another_gateway(self) -> None:
        self.store = self.joined()
        self.damaged = 0

    @rule()
    def forget_scripts(self) -> None:
        with SERVERS[0].client() as client:
            client.script_flush()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), at=st.integers(0, 10_000), bit=st.integers(0, 7))
    def spoil(self, data: st.DataObject, at: int, bit: int) -> None:
        key = data.draw(st.sampled_from(sorted(set(self.model) - self.spoiled) or [b""]))
        if key not in self.model:
            return
        with SERVERS[0].client() as client:
            (name,) = (name for name in client.keys("t:cache:*") if name.endswith(b":answer:" + key))
            blob = bytearray(client.get(name))
            blob[at % len(blob)] ^= 1 << bit
            client.set(name, bytes(blob), keepttl=True)
        self.spoiled.add(key)

    def teardown(self) -> None:
        for link in self.links:
            self.do(link.close())
        super().teardown()


RedisModel.TestCase.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRedisModel = RedisModel.TestCase
