"""WebSockets through the gateway: the real clients, by proxy and by base URL, to their end whoever brings it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from tests.e2e.sockets import Scripted, Way, client_of, converse, new_model, realtime
from tests.e2e.world import APPS, MIB, World, new_key
from tests.running import CLEAN, ROOT, GatewayProcess, config_for, lane, plain
from tests.tools import require_tool

WAYS: tuple[Way, ...] = ("proxy", "base URL")
Pair = tuple[GatewayProcess, Scripted]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    provider = Scripted()
    gateway = GatewayProcess(tmp_path_factory.mktemp("sockets"), config_for(provider.port))
    yield gateway, provider
    gateway.stop()
    provider.close()


async def row_of(gateway: GatewayProcess, model: str) -> dict[str, Any]:
    """Wait for the row of the WebSocket of a model that is asked for once."""
    return await asyncio.to_thread(
        GatewayProcess.until,
        lambda: next((row for row in gateway.flows(kind="websocket") if row["model"] == model), None),
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_realtime_conversation_is_the_one_that_the_provider_leads(world: World, way: Way) -> None:
    model = new_model("gpt-realtime")
    async with realtime(world.gateway, way, model=model) as socket:
        text, kinds = await asyncio.wait_for(converse(socket, "one two three"), 10)
        client = client_of(socket)
    assert text == "Echo: one two three"
    assert (kinds[0], kinds[-1], socket.close_code) == ("session.created", "response.done", 1000)
    row = await row_of(world.gateway, model)
    wanted = {
        "kind": "websocket", "client": client, "provider": "openai", "endpoint": "realtime", "model": model,
        "status": 101, "cause": None, "fault": None, "state": "done", "method": "GET", "stream": True,
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert row["path"].endswith(f"/v1/realtime?model={model}")
    assert row["total_ms"] > 0
    assert row["key"] not in {"", "none"}


@pytest.mark.parametrize("options", [(), ("--no-base-url",)], ids=["base URL", "proxy"])
async def test_the_official_sdk_holds_a_realtime_conversation(world: World, options: tuple[str, ...]) -> None:
    command = [*world.run_command(*options), sys.executable, str(APPS / "realtime.py"), new_key(), "four five"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, cwd=ROOT, env=CLEAN, timeout=40
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["text"] == "Echo: four five"
    assert (said["kinds"][0], said["kinds"][-1]) == ("session.created", "response.done")


async def test_nodes_own_websocket_is_served_by_base_url(world: World) -> None:
    """It can set no headers, so the key stands in a subprotocol."""
    node = require_tool("node", "apt-get install nodejs")
    script = """
    const [url, key] = process.argv.slice(1)
    const socket = new WebSocket(url, ["realtime", "openai-insecure-api-key." + key])
    socket.onmessage = event => { console.log(socket.protocol, JSON.parse(event.data).type); socket.close(1000) }
    socket.onerror = event => { console.log("error", event.message); process.exit(1) }
    """
    url = f"ws://127.0.0.1:{world.gateway.port}/openai/v1/realtime?model=gpt-realtime"
    words = [node, "--experimental-websocket", "-e", script, url, new_key()]
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, env=CLEAN, timeout=20)
    assert done.stdout == "realtime session.created\n", done


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize("way", WAYS)
async def test_large_messages_pass_whole_compressed_or_not(pair: Pair, way: Way, compression: str | None) -> None:
    gateway, provider = pair
    model = new_model("echo")
    text, data = "é" * (MIB // 2), bytes(range(256)) * 4096
    async with realtime(gateway, way, model=model, compression=compression, max_size=2 * MIB) as socket:
        assert bool(socket.protocol.extensions) == (compression is not None)
        for message in (text, data, ""):
            await socket.send(message)
            assert await asyncio.wait_for(socket.recv(), 10) == message
    visit = await asyncio.to_thread(provider.visit, model)
    assert visit.messages == [text, data, ""]
    assert visit.compressed == (compression is not None)
    assert not [name for name in visit.headers if name.startswith(("x-whygate-cache", "proxy-"))]


async def test_a_message_in_pieces_arrives_as_one(pair: Pair) -> None:
    gateway, provider = pair
    model = new_model("echo")
    async with realtime(gateway, model=model) as socket:
        await socket.send(["one ", "two ", "three"])
        assert await asyncio.wait_for(socket.recv(), 5) == "one two three"
    assert (await asyncio.to_thread(provider.visit, model)).messages == ["one two three"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_message_that_does_not_wait_for_the_answer_arrives(pair: Pair, way: Way) -> None:
    gateway, provider = pair
    model = new_model("echo")
    reader, writer = await (lane(gateway) if way == "proxy" else plain(gateway))
    host, prefix = ("api.openai.com", "") if way == "proxy" else ("localhost", "/openai")
    asked = (
        f"GET {prefix}/v1/realtime?model={model} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    writer.write(asked.encode() + b"\x81\x85\0\0\0\0hello")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 101")
    assert await asyncio.wait_for(reader.readexactly(7), 5) == b"\x81\x05hello"
    writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
    assert await asyncio.wait_for(reader.readexactly(4), 5) == b"\x88\x02\x03\xe8"
    assert (await asyncio.to_thread(provider.visit, model)).messages == ["hello"]


@pytest.mark.parametrize("way", WAYS)
async def test_pings_are_answered_by_the_other_side(pair: Pair, way: Way) -> None:
    gateway, provider = pair
    model = new_model("ping")
    async with realtime(gateway, way, model=model, ping_interval=None) as socket:
        assert await asyncio.wait_for(socket.recv(), 5) == "you are there"
        assert await asyncio.wait_for(await socket.ping(b"are you?"), 5) >= 0
    assert (await asyncio.to_thread(provider.visit, model)).pings_answered == 1


CLOSES = {
    1000: None,
    1001: None,
    4002: None,
    1009: "request.payload_too_large",
    1011: "service.server_error",
    1013: "service.overloaded",
}


@pytest.mark.parametrize("code", CLOSES)
async def test_a_close_of_the_provider_reaches_the_app_with_its_code_and_the_row_names_it(
    pair: Pair, code: int
) -> None:
    gateway, _ = pair
    model = new_model(f"close-{code}")
    async with realtime(gateway, model=model) as socket:
        await socket.send("go on")
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)
    assert (socket.close_code, socket.close_reason) == (code, "enough")
    row = await row_of(gateway, model)
    assert (row["status"], row["cause"]) == (101, CLOSES[code])
    if CLOSES[code]:
        assert str(code) in row["diagnosis"]["what_happened"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", [1000, 1011, 4000])
async def test_a_close_of_the_app_reaches_the_provider_and_is_no_failure(pair: Pair, way: Way, code: int) -> None:
    gateway, provider = pair
    model = new_model("echo")
    async with realtime(gateway, way, model=model) as socket:
        await socket.close(code, "I have it")
    assert (await asyncio.to_thread(provider.visit, model)).end == (code, "I have it")
    row = await row_of(gateway, model)
    assert (row["status"], row["cause"]) == (101, None)


@pytest.mark.parametrize("way", WAYS)
async def test_a_connection_that_the_provider_cuts_is_told_as_interrupted(pair: Pair, way: Way) -> None:
    gateway, _ = pair
    model = new_model("cut")
    async with realtime(gateway, way, model=model) as socket:
        await socket.send("one")
        with pytest.raises(websockets.ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), 5)
    assert socket.close_code == 1006
    row = await row_of(gateway, model)
    assert (row["status"], row["cause"]) == (101, "network.stream_interrupted")
    assert "without a close frame" in row["diagnosis"]["what_happened"]


@pytest.mark.parametrize("way", WAYS)
async def test_an_app_that_vanishes_ends_the_providers_side_at_once(pair: Pair, way: Way) -> None:
    gateway, provider = pair
    model = new_model("echo")
    async with realtime(gateway, way, model=model) as socket:
        await socket.send("one")
        await asyncio.wait_for(socket.recv(), 5)
        socket.transport.abort()
    visit = await asyncio.to_thread(provider.visit, model)
    assert visit.end is not None
    row = await row_of(gateway, model)
    assert (row["status"], row["cause"]) == (101, None)


async def test_a_responses_session_over_a_websocket_is_served(world: World) -> None:
    """Codex tries this before plain requests."""
    headers = {"authorization": f"Bearer {new_key()}"}
    url = f"ws://127.0.0.1:{world.gateway.port}/openai/v1/responses"
    async with websockets.connect(url, proxy=None, additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hello"}))
        kinds: list[str] = []
        while not kinds or kinds[-1] != "response.completed":
            kinds.append(json.loads(await asyncio.wait_for(socket.recv(), 5))["type"])
        client = client_of(socket)
    row = await asyncio.to_thread(
        GatewayProcess.until,
        lambda: next((r for r in world.gateway.flows(kind="websocket") if r["client"] == client), None),
    )
    assert (row["endpoint"], row["status"], row["cause"]) == ("responses", 101, None)
