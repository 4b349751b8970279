"""WebSockets that do not come about: whoever refuses them, the app learns it at once and in words that it can read."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets
from websockets.http11 import Response

from tests.e2e.sockets import Scripted, Way, new_model, realtime
from tests.e2e.world import World, steady
from tests.running import GatewayProcess, config_for, lane, plain, read_answer

WAYS: tuple[Way, ...] = ("proxy", "base URL")
Pair = tuple[GatewayProcess, Scripted]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Its provider is Scripted, and anthropic's port refuses connections."""
    provider = Scripted()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        extra = f'[[providers]]\nname = "closed"\nupstream = "http://127.0.0.1:{closed.getsockname()[1]}"\n'
        gateway = GatewayProcess(tmp_path_factory.mktemp("refused"), config_for(provider.port, extra))
        yield gateway, provider
        gateway.stop()
    provider.close()


async def refusal(gateway: GatewayProcess, way: Way, **options: Any) -> tuple[Response, dict[str, Any]]:
    """Try, and give the refusal and its error object."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        await realtime(gateway, way, **options)
    answer = caught.value.response
    assert answer.body
    return answer, json.loads(answer.body)["error"]


async def row_of(gateway: GatewayProcess, model: str) -> dict[str, Any]:
    return await asyncio.to_thread(
        GatewayProcess.until,
        lambda: next((row for row in gateway.flows(kind="websocket") if model in row["path"]), None),
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_refusal_of_the_provider_passes_with_its_body_and_the_verdict_beside_it(pair: Pair, way: Way) -> None:
    gateway, _ = pair
    model = new_model("refuse")
    answer, error = await refusal(gateway, way, model=model)
    assert (answer.status_code, error["code"], error["message"]) == (401, "invalid_api_key", "Incorrect API key")
    assert answer.headers["x-request-id"] == "req_1"
    assert answer.headers["x-whygate-cause"] == "auth.invalid_key"
    row = await row_of(gateway, model)
    wanted = {"kind": "websocket", "status": 401, "cause": "auth.invalid_key", "provider": "openai", "model": model}
    assert {name: row[name] for name in wanted} == wanted


async def test_the_simulated_providers_own_refusal_passes_too(world: World) -> None:
    answer, error = await refusal(world.gateway, "proxy", headers={"x-simulate": "auth.invalid_key"})
    assert answer.status_code == 401
    assert error["code"] == "invalid_api_key"


async def test_an_upstream_that_is_not_there_is_told_within_two_seconds(pair: Pair) -> None:
    gateway, _ = pair
    model, began = new_model("m"), time.monotonic()
    answer, error = await refusal(gateway, "base URL", base="closed", model=model)
    assert time.monotonic() - began < 2
    assert (answer.status_code, error["code"], error["type"]) == (502, "network.tcp_refused", "whygate_error")
    assert answer.headers["x-whygate-cause"] == "network.tcp_refused"
    assert answer.headers["proxy-status"] == "whygate; error=connection_refused"
    assert answer.headers["content-type"] == "application/json"
    row = await row_of(gateway, model)
    assert (row["status"], row["cause"], row["provider"]) == (502, "network.tcp_refused", "closed")


async def test_a_base_url_that_nobody_has_is_404(pair: Pair) -> None:
    gateway, _ = pair
    model = new_model("m")
    answer, error = await refusal(gateway, "base URL", base="opnai", model=model)
    assert (answer.status_code, error["code"]) == (404, "request.invalid_url")
    assert (await row_of(gateway, model))["cause"] == "request.invalid_url"


async def test_a_web_page_of_another_site_cannot_open_one(pair: Pair) -> None:
    """A browser lets any page open a WebSocket to this machine; only Origin tells whose it is."""
    gateway, provider = pair
    model = new_model("echo")
    answer, error = await refusal(gateway, "base URL", model=model, origin="https://evil.test")
    assert (answer.status_code, error["code"]) == (403, "proxy.destination_blocked")
    assert not [one for one in provider.visits if one.model == model]
    async with realtime(gateway, "base URL", model=model, origin="http://localhost:3000") as allowed:
        await allowed.send("from this machine")
        assert await asyncio.wait_for(allowed.recv(), 5) == "from this machine"


async def test_an_upgrade_that_names_another_host_than_its_connection_is_refused(pair: Pair) -> None:
    gateway, _ = pair
    reader, writer = await lane(gateway)
    writer.write(
        b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: elsewhere.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 421")
    assert b"connection: close" in head
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_apps_that_hang_up_while_upgrading_leave_nothing(pair: Pair) -> None:
    gateway, provider = pair
    process = psutil.Process(gateway.process.pid)
    before, begun = await asyncio.to_thread(steady, process.num_fds), provider.upgrading
    writers = []
    for number in range(20):
        base = number % 2
        _, writer = await (plain(gateway) if base else lane(gateway))
        host, prefix = ("localhost", "/openai") if base else ("api.openai.com", "")
        writer.write(
            f"GET {prefix}/v1/realtime?model=silent/{number} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        writers.append(writer)
    await asyncio.to_thread(GatewayProcess.until, lambda: provider.upgrading == begun + 20)
    assert process.num_fds() >= before + 40
    for writer in writers:
        writer.transport.abort()
    await asyncio.to_thread(GatewayProcess.until, lambda: process.num_fds() <= before + 2)
    rows = await asyncio.to_thread(
        GatewayProcess.until,
        lambda: (
            found if len(found := [r for r in gateway.flows(kind="websocket") if "silent" in r["path"]]) == 20 else None
        ),
    )
    assert {(row["cause"], row["status"]) for row in rows} == {("client.disconnected", None)}


async def test_a_gateway_that_ends_closes_what_is_open(tmp_path: Path) -> None:
    provider = Scripted()
    gateway = await asyncio.to_thread(GatewayProcess, tmp_path, config_for(provider.port))
    model = new_model("echo")
    try:
        async with realtime(gateway, model=model) as open_one:
            await open_one.send("one")
            await open_one.recv()
            assert await asyncio.to_thread(gateway.stop) == 0
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(open_one.recv(), 5)
        assert await asyncio.to_thread(provider.visit, model)
    finally:
        await asyncio.to_thread(gateway.stop)
        provider.close()
