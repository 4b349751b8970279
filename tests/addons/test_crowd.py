"""One client takes no more than its share of connections and memory; the others do not notice it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from addons.crowd import Crowd, client_of
from tests.addons.test_open_listener import PAGE_TOKEN, TOKEN, Place
from tests.running import OPENED, GatewayProcess, RawUpstream, config_for, read_answer

MIB = 1_048_576
MOST = 8
BASE = f"/~{TOKEN}/openai"


class Open(asyncio.Transport):
    """A transport of a client at an address."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed


def enter(crowd: Crowd, address: str) -> tuple[Open, str]:
    made = Open(address)
    return made, crowd.enter(made, crowd.share_of(made))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    upstream = RawUpstream()
    listen = (
        f'[listen]\ntoken = "{TOKEN}"\nconnections_per_client = {MOST}\nbytes_per_client = {4 * MIB}\n'
        f'connections_max = {3 * MOST}\n[page]\ntoken = "{PAGE_TOKEN}"\n'
    )
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("crowd"), config_for(upstream.port, listen), "--listen", "0.0.0.0:0"
    )
    try:
        yield Place(gateway, upstream)
    finally:
        gateway.stop()
        upstream.close()


async def knock(place: Place, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection as the client of an address of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.gateway.port, local_addr=(address, 0))
    OPENED.append(writer)
    return reader, writer


async def fill(place: Place, address: str, number: int = MOST) -> list[asyncio.StreamWriter]:
    """Take so many connections, each of which has been let in."""
    writers = []
    for _ in range(number):
        reader, writer = await knock(place, address)
        writer.write(f"GET {BASE}/v1/models HTTP/1.1\r\nHost: whygate\r\nx-whygate-canary: here\r\n\r\n".encode())
        assert b" 204 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writers.append(writer)
    return writers


async def ask(place: Place, address: str, path: str = "", body: bytes = b"") -> tuple[bytes, bytes]:
    reader, writer = await knock(place, address)
    head = f"POST {BASE}{path or '/v1/models'} HTTP/1.1\r\nHost: whygate\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + (b"" if path else b"x-whygate-canary: here\r\n") + b"\r\n" + body)
    return await read_answer(reader)


def is_overloaded(head: bytes, body: bytes) -> bool:
    error = json.loads(body)["error"]
    return (
        head.startswith(b"HTTP/1.1 503 ")
        and b"retry-after: 1\r\n" in head.lower()
        and b"x-whygate-cause: proxy.overloaded" in head
        and error["code"] == "proxy.overloaded"
        and "all that one client may" in error["message"]
    )


async def test_one_connection_too_many_is_answered_at_once_and_other_clients_are_served(place: Place) -> None:
    held = await fill(place, "127.0.0.2")
    for _ in range(3):
        assert is_overloaded(*await ask(place, "127.0.0.2"))
    assert b" 204 " in (await ask(place, "127.0.0.3"))[0]
    held[0].close()
    await asyncio.sleep(0)
    for _ in range(100):
        head, _ = await ask(place, "127.0.0.2")
        if b" 204 " in head:
            break
        await asyncio.sleep(0.05)
    assert b" 204 " in head, "a connection that was closed makes room"


async def test_a_tunnel_is_told_by_the_status_of_its_connect(place: Place) -> None:
    await fill(place, "127.0.0.4")
    reader, writer = await knock(place, "127.0.0.4")
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n")
    head, body = await read_answer(reader)
    assert is_overloaded(head, body)
    assert await asyncio.wait_for(reader.read(), 5) == b"", "and closed"


async def test_it_is_in_the_log_once_however_often_it_happens(place: Place) -> None:
    await fill(place, "127.0.0.5")
    for _ in range(20):
        assert is_overloaded(*await ask(place, "127.0.0.5"))
    gateway = place.gateway

    def rows() -> list[dict[str, Any]]:
        found = (row for row in flows(gateway) if row["client"].startswith("127.0.0.5:"))
        return [row for row in found if row["cause"] == "proxy.overloaded"]

    await asyncio.to_thread(gateway.until, rows)
    assert len(await asyncio.to_thread(rows)) == 1


async def test_a_crowd_that_is_turned_away_is_not_waited_for(place: Place) -> None:
    """A flood takes no descriptors for long, and nobody else waits behind it."""
    held = await fill(place, "127.0.0.6")
    answers = await asyncio.gather(*(ask(place, "127.0.0.6") for _ in range(60)), return_exceptions=True)
    told = [one for one in answers if not isinstance(one, BaseException)]
    assert all(is_overloaded(*one) for one in told)
    assert len(told) > 50
    assert b" 204 " in (await ask(place, "127.0.0.7"))[0]
    for writer in held:
        writer.close()


async def test_bodies_of_one_client_hold_no_more_than_its_share_of_memory(place: Place) -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def slowly(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3 * MIB if b"3145728" in head else 2 * MIB)
        while not release.is_set():  # noqa: ASYNC110 - of another loop
            await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")

    path = place.upstream.on(slowly)
    first = loop.create_task(ask(place, "127.0.0.8", path, b"x" * (3 * MIB)))
    await asyncio.to_thread(place.gateway.until, lambda: place.upstream.connections)
    assert is_overloaded(*await ask(place, "127.0.0.8", path, b"x" * (2 * MIB)))
    other = loop.create_task(ask(place, "127.0.0.9", path, b"x" * (2 * MIB)))
    row = await asyncio.to_thread(
        place.gateway.until,
        lambda: next(
            (one for one in flows(place.gateway) if one["client"].startswith("127.0.0.8:") and one["cause"]), None
        ),
    )
    assert (row["cause"], row["status"], row["attempts"]) == ("proxy.overloaded", 503, [])
    release.set()
    assert (await first)[1] == (await other)[1] == b"yes"
    assert (await ask(place, "127.0.0.8", path, b"x" * (3 * MIB)))[1] == b"yes", "what ended makes room"


def flows(gateway: GatewayProcess) -> list[dict[str, Any]]:
    answer = httpx2.get(
        f"http://{gateway.runtime['page']}/api/flows?limit=500",
        headers={"authorization": f"Bearer {PAGE_TOKEN}"},
        trust_env=False,
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()["flows"]
    return found


def test_all_clients_together_are_bounded_too() -> None:
    crowd = Crowd(0, 0, 3)
    first, _ = enter(crowd, "10.0.0.1")
    assert [enter(crowd, f"10.0.0.{n}")[1] for n in (2, 3)] == ["", ""]
    assert enter(crowd, "10.0.0.4")[1] == "3 connections are open already, all that there may be"
    first.closed = True
    assert enter(crowd, "10.0.0.4")[1] == ""


def test_bounds_that_change_hold_for_who_comes_and_zero_is_none() -> None:
    crowd = Crowd(1, 10, 100)
    assert [enter(crowd, "10.0.0.1")[1] != "" for _ in range(2)] == [False, True]
    crowd.renew(0, 0, 100)
    made, why = enter(crowd, "10.0.0.1")
    assert why == ""
    assert crowd.share_of(made).hold(10**9) == ""


def test_clients_that_have_gone_take_no_memory() -> None:
    crowd = Crowd(4, 10, 100_000)
    for number in range(5_000):
        made, _ = enter(crowd, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        made.closed = True
    assert len(crowd._shares) <= 1_025


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_client_is_the_whole_network_that_it_is_given(address: str, client: str) -> None:
    assert client_of(address) == client
