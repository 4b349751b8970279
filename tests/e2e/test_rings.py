"""Gateways that lead to each other: a request that goes in a ring ends at once, says so, and leaves nothing behind."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.running import GatewayProcess, plain, read_answer

LOOP = "proxy.loop_detected"
LONGEST_SECONDS = 8.0
"""Every gateway on the way may try again a few times."""

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "round and round"}]}


def free_ports(count: int) -> list[int]:
    """Give ports that nobody listens on; all are held until the last is found, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass
class Ring:
    """Gateways of which each asks the next, and the last the first."""

    gateways: list[GatewayProcess]

    def descriptors(self) -> list[int]:
        return [psutil.Process(one.process.pid).num_fds() for one in self.gateways]

    def comes_to_rest(self, before: list[int]) -> None:
        """Wait until no connection is left but those that are kept for the next call."""
        GatewayProcess.until(
            lambda: all(now <= then + 4 for now, then in zip(self.descriptors(), before, strict=True)), 10
        )

    def rows(self, **query: Any) -> list[dict[str, Any]]:
        return [row for one in self.gateways for row in one.flows(**query)]


@contextlib.contextmanager
def ring(directory: Path, size: int, settings: str) -> Iterator[Ring]:
    """Start a ring. ``NEXT`` in the settings is the next one's port."""
    ports = free_ports(size)
    made: list[GatewayProcess] = []
    with contextlib.ExitStack() as ends:
        for number, port in enumerate(ports):
            config = "[doctor]\ncontrols = false\n" + settings.replace("NEXT", str(ports[(number + 1) % size]))
            place = directory / f"gateway-{number}"
            made.append(GatewayProcess(place, config, "--listen", f"127.0.0.1:{port}"))
            ends.callback(made[-1].stop)
        yield Ring(made)


BASE = '[[providers]]\nname = "openai"\nupstream = "http://127.0.0.1:NEXT/openai"\n'
PROXY = '[network]\nproxy = "http://127.0.0.1:NEXT"\n'


@pytest.fixture(scope="module", params=[2, 3])
def based(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Each has the next one for its provider."""
    with ring(tmp_path_factory.mktemp("based"), request.param, BASE) as made:
        yield made


@pytest.fixture(scope="module", params=[2, 3])
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Each has the next one for the company's proxy."""
    with ring(tmp_path_factory.mktemp("proxied"), request.param, PROXY) as made:
        yield made


def test_a_call_in_a_ring_of_base_urls_ends(based: Ring) -> None:
    before, began = based.descriptors(), time.monotonic()
    for _ in range(3):
        answer = httpx2.post(
            f"{based.gateways[0].proxy}/openai/v1/chat/completions", json=CALL, trust_env=False, timeout=30,
            headers={"authorization": "Bearer sk-ring"},
        )  # fmt: skip
        assert answer.status_code == 508
        assert answer.json()["error"]["code"] == LOOP
    assert time.monotonic() - began < LONGEST_SECONDS
    rows = based.gateways[0].until(lambda: [row for row in based.rows() if row["state"] == "done"])
    assert LOOP in {row["cause"] for row in rows}, "at whom it came to twice"
    assert len(rows) <= 3 * 2 * 3 * 3, "each tries a few times"
    based.comes_to_rest(before)


async def test_a_websocket_in_a_ring_of_base_urls_ends(based: Ring) -> None:
    before = based.descriptors()
    reader, writer = await plain(based.gateways[0])
    writer.write(
        b"GET /openai/v1/realtime?model=m HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 508")
    assert json.loads(body)["error"]["code"] == LOOP
    writer.close()
    await asyncio.to_thread(based.comes_to_rest, before)


async def test_tunnels_in_a_ring_of_proxies_end(proxied: Ring) -> None:
    before = proxied.descriptors()
    for _ in range(5):
        began = time.monotonic()
        reader, writer = await plain(proxied.gateways[0])
        writer.write(b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: elsewhere.test:443\r\n\r\n")
        head, body = await read_answer(reader)
        assert time.monotonic() - began < LONGEST_SECONDS
        assert int(head.split(b" ")[1]) >= 500
        assert b"passed through" in body or LOOP.encode() in body or b"network.proxy_upstream_error" in body
        writer.close()
    await asyncio.to_thread(proxied.comes_to_rest, before)
    rows = [row for row in await asyncio.to_thread(proxied.rows) if row["host"].startswith("elsewhere.test")]
    assert LOOP in {row["cause"] for row in rows}
    assert len(rows) <= 2 * 5 * (len(proxied.gateways) + 1), "once around, and no further; a second look does the same"


async def test_plain_requests_in_a_ring_of_proxies_end(proxied: Ring) -> None:
    before, began = proxied.descriptors(), time.monotonic()
    reader, writer = await plain(proxied.gateways[0])
    writer.write(b"GET http://plain.test/x HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    head, body = await read_answer(reader)
    assert time.monotonic() - began < LONGEST_SECONDS
    assert head.startswith(b"HTTP/1.1 508")
    assert LOOP in body.decode()
    writer.close()
    await asyncio.to_thread(proxied.comes_to_rest, before)


async def test_a_request_that_shows_two_marks_goes_no_further(based: Ring) -> None:
    reader, writer = await plain(based.gateways[0])
    writer.write(
        b"GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nX-Whygate-Hop: aaaa\r\nX-Whygate-Hop: bbbb\r\n\r\n"
    )
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 508")
    assert json.loads(body)["error"]["code"] == LOOP
