"""Behind a company's proxy that does not let through: calls, tunnels and WebSockets say which of its reasons it was."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.e2e.office import Office, ask_for_tunnel, leaks, name_of
from tests.e2e.sockets import converse, realtime
from tests.e2e.squid import LOGIN, Squid, squid
from tests.e2e.world import World, new_key
from tests.running import GatewayProcess, plain, read_answer

WRONG = "jo%40firm.test:wrong-canary"
WRONG_SECRETS = (b"wrong-canary", base64.b64encode(b"jo@firm.test:wrong-canary"))

Refusal = tuple[int, str, str, dict[str, Any]]
"""Status, cause, message, and the row."""


@pytest.fixture(scope="module")
def desk(firm: Office, proxy: Squid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One whose proxy is spoken to in TLS, with a certificate of the company's."""
    extra = f'[network]\nproxy = "{proxy.address(LOGIN, tls=True)}"\nca_file = "{firm.ca_file}"\n'
    with firm.world(tmp_path_factory.mktemp("desk"), extra) as world:
        yield world
        assert leaks(world) == []


@pytest.fixture(scope="module")
def stranger(firm: Office, proxy: Squid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One with a wrong credential for TLS and tunnels, and with none for plain requests."""
    env = {"HTTPS_PROXY": proxy.address(WRONG), "HTTP_PROXY": f"localhost:{proxy.doors.login}"}
    with firm.world(tmp_path_factory.mktemp("stranger"), env=env) as world:
        yield world
        assert leaks(world, WRONG_SECRETS) == []


async def call(gateway: GatewayProcess, base: str) -> Refusal:
    """Make a call by a base URL."""
    reader, writer = await plain(gateway)
    body = b'{"model":"m","messages":[]}'
    writer.write(
        f"POST /{base}/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {new_key()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head, answer = await read_answer(reader)
    return await _refusal(gateway, writer, int(head.split(b" ", 2)[1]), head.decode("latin-1"), answer)


async def upgrade(gateway: GatewayProcess, base: str) -> Refusal:
    """Try a WebSocket by a base URL."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with realtime(gateway, "base URL", base=base, model=new_key()) as socket:
            await converse(socket, "no")
    answer = caught.value.response
    rows = await asyncio.to_thread(GatewayProcess.until, lambda: gateway.flows(kind="websocket"))
    assert answer.body
    error = json.loads(answer.body)["error"]
    assert answer.headers["x-whygate-cause"] == error["code"]
    return answer.status_code, error["code"], error["message"], rows[0]


async def tunnel(gateway: GatewayProcess, target: str) -> Refusal:
    """Ask for a tunnel."""
    status, body, _, writer = await ask_for_tunnel(gateway, target)
    (row,) = await asyncio.to_thread(gateway.rows_of, name_of(writer))
    return status, body["error"]["code"], body["error"]["message"], row


async def _refusal(
    gateway: GatewayProcess, writer: asyncio.StreamWriter, status: int, head: str, body: bytes
) -> Refusal:
    (row,) = await asyncio.to_thread(gateway.rows_of, name_of(writer))
    error = json.loads(body)["error"]
    assert f"x-whygate-cause: {error['code']}\r\n" in head
    return status, error["code"], error["message"], row


def check(found: Refusal, cause: str, kind: str) -> None:
    """See that answer and row agree, and that the message speaks of the proxy and never of what opens it."""
    status, code, message, row = found
    assert (status, code) == (502, cause)
    assert (row["kind"], row["status"], row["cause"]) == (kind, 502, cause)
    assert "proxy" in message
    assert row["diagnosis"]["what_happened"] in message
    assert not re.search(r"wrong-canary|Basic|p@ss|p%40ss", message)


WAYS = {
    "network.proxy_denied": ("denied", "denied.test:443"),
    "network.proxy_upstream_error": ("dead", "dead.test:9"),
    "network.proxy_upstream_error, by name": ("nowhere", "nowhere.test:443"),
}


@pytest.mark.parametrize("case", WAYS)
async def test_what_it_forbids_and_what_it_cannot_reach_are_told_apart(desk: World, case: str) -> None:
    (base, target), cause = WAYS[case], case.partition(",")[0]
    found = await asyncio.gather(call(desk.gateway, base), tunnel(desk.gateway, target))
    check(found[0], cause, "api")
    check(found[1], cause, "tunnel")
    check(await upgrade(desk.gateway, base), cause, "websocket")


async def test_a_proxy_that_is_spoken_to_in_tls_lets_calls_and_websockets_through(
    desk: World, firm: Office, proxy: Squid
) -> None:
    target = f"provider.test:{firm.provider.port}"
    async with realtime(desk.gateway) as socket:
        assert (await converse(socket, "one"))[0] == "Echo: one"
    with desk.gateway.client() as client:
        headers = {"authorization": f"Bearer {new_key()}"}
        assert client.get("https://api.openai.com/v1/models", headers=headers).status_code == 200
    status, _, _, writer = await ask_for_tunnel(desk.gateway, f"elsewhere.test:{firm.secure.port}")
    assert status == 200
    writer.close()
    assert await asyncio.to_thread(
        GatewayProcess.until, lambda: any(row[:3] == (200, "CONNECT", target) for row in proxy.asked_for)
    )


async def test_a_plain_request_goes_through_a_proxy_that_is_spoken_to_in_tls(desk: World, firm: Office) -> None:
    reader, writer = await plain(desk.gateway)
    authority = f"elsewhere.test:{firm.plain.port}"
    writer.write(f"GET http://{authority}/tls HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    assert (await read_answer(reader))[1] == b"elsewhere"
    (headers,) = [headers for path, headers in firm.plain.seen if path == "/tls"]
    assert not [name for name in headers if name.startswith("proxy-")]


async def test_a_wrong_credential_is_told_as_such(stranger: World) -> None:
    target = "provider.test:443"
    found = await asyncio.gather(call(stranger.gateway, "openai"), tunnel(stranger.gateway, target))
    check(found[0], "network.proxy_auth", "api")
    check(found[1], "network.proxy_auth", "tunnel")
    check(await upgrade(stranger.gateway, "openai"), "network.proxy_auth", "websocket")


async def test_a_plain_request_without_a_credential_is_told_as_such(stranger: World, firm: Office) -> None:
    """The proxy's own 407 would ask the app for a password that is not the app's to give."""
    reader, writer = await plain(stranger.gateway)
    authority = f"elsewhere.test:{firm.plain.port}"
    writer.write(f"GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head, body = await read_answer(reader)
    assert b"proxy-authenticate" not in head.lower()
    found = await _refusal(stranger.gateway, writer, int(head.split(b" ", 2)[1]), head.decode("latin-1"), body)
    check(found, "network.proxy_auth", "tunnel")


async def test_a_proxy_that_is_gone_is_named(firm: Office, tmp_path: Path) -> None:
    with squid(firm.authority) as proxy, firm.world(tmp_path, env={"https_proxy": proxy.address()}) as world:
        with world.gateway.client() as client:
            headers = {"authorization": f"Bearer {new_key()}"}
            assert client.get("https://api.openai.com/v1/models", headers=headers).status_code == 200
        await asyncio.to_thread(proxy.stop)
        found = await asyncio.gather(call(world.gateway, "openai"), tunnel(world.gateway, "provider.test:443"))
        check(found[0], "network.proxy_unreachable", "api")
        check(found[1], "network.proxy_unreachable", "tunnel")
        check(await upgrade(world.gateway, "openai"), "network.proxy_unreachable", "websocket")
        assert f"localhost:{proxy.doors.open}" in found[0][2]
