"""Behind a company's SOCKS proxy (microsocks): whatever an app does goes out through it, and names are found there."""

import asyncio
import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.microsocks import LOGIN, PASSWORD, Microsocks, microsocks
from tests.e2e.office import Office, ask_for_tunnel, leaks, name_of
from tests.e2e.sockets import client_of, converse, realtime
from tests.e2e.test_company_proxy_failures import call, check, tunnel, upgrade
from tests.e2e.world import World, job, new_key
from tests.running import GatewayProcess, plain, read_answer

SECRETS = (PASSWORD.encode(), LOGIN.encode(), base64.b64encode(f"jo@firm.test:{PASSWORD}".encode()))


@pytest.fixture(scope="module")
def open_proxy() -> Iterator[Microsocks]:
    """One that lets everybody through."""
    with microsocks() as made:
        yield made


@pytest.fixture(scope="module")
def locked_proxy() -> Iterator[Microsocks]:
    """One that asks who is there."""
    with microsocks(login=True) as made:
        yield made


class Desk(NamedTuple):
    """A gateway, and the proxy that it has to use."""

    world: World
    proxy: Microsocks


@pytest.fixture(scope="module", params=["HTTPS_PROXY", "ALL_PROXY, login", "settings, login"])
def desk(
    request: pytest.FixtureRequest, firm: Office, open_proxy: Microsocks, locked_proxy: Microsocks,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:  # fmt: skip
    """At its end, the proxy's credential may stand nowhere."""
    used, login = (locked_proxy, LOGIN) if "login" in request.param else (open_proxy, "")
    extra, env = "", {}
    if "settings" in request.param:
        extra = f'[network]\nproxy = "{used.address(login)}"\n'
    elif "ALL" in request.param:
        env = {"ALL_PROXY": used.address(login)}
    else:
        env = {"HTTPS_PROXY": used.address(login), "http_proxy": used.address(login)}
    edited = '[listen]\nedit = ["openai/v1/embeddings"]\n'
    with firm.world(tmp_path_factory.mktemp("desk"), extra + edited, env) as world:
        yield Desk(world, used)
        assert leaks(world, SECRETS) == []


async def test_the_official_sdk_is_answered_through_it_plain_and_streamed(desk: Desk, firm: Office) -> None:
    whole, streamed = job(prompt="one two three"), job(prompt="four five six", stream=True)
    results = await asyncio.to_thread(desk.world.proxied.ask, [whole, streamed])
    assert [result["error"] for result in results] == [None, None]
    assert [result["text"] for result in results] == ["Echo: one two three", "Echo: four five six"]
    assert f"provider.test:{firm.provider.port}" in desk.proxy.asked_for
    rows = [await asyncio.to_thread(desk.world.row, result) for result in results]
    assert [(row["status"], row["provider"], row["cause"]) for row in rows] == [(200, "openai", None)] * 2


async def test_a_realtime_conversation_goes_through_it(desk: Desk) -> None:
    async with realtime(desk.world.gateway) as websocket:
        text, _ = await asyncio.wait_for(converse(websocket, "seven eight"), 10)
        client = client_of(websocket)
    assert text == "Echo: seven eight"
    (row,) = await asyncio.to_thread(desk.world.gateway.rows_of, client)
    assert (row["kind"], row["status"], row["cause"]) == ("websocket", 101, None)


async def test_a_tunnel_leads_through_it_to_the_other_sides_own_certificate(desk: Desk, firm: Office) -> None:
    target = f"elsewhere.test:{firm.secure.port}"
    status, _, reader, writer = await ask_for_tunnel(desk.world.gateway, target)
    assert status == 200
    trusting = ssl.create_default_context()
    firm.authority.configure_trust(trusting)
    await writer.start_tls(trusting, server_hostname="elsewhere.test")
    writer.write(b"GET / HTTP/1.1\r\nHost: elsewhere.test\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(read_answer(reader), 10))[1] == b"elsewhere"
    writer.close()
    assert target in desk.proxy.asked_for


async def test_a_plain_request_goes_through_it_and_is_asked_as_without_a_proxy(desk: Desk, firm: Office) -> None:
    reader, writer = await plain(desk.world.gateway)
    authority, path = f"elsewhere.test:{firm.plain.port}", f"/{new_key()}"
    writer.write(f"GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    answer, body = await read_answer(reader)
    assert (answer.split(b" ", 2)[1], body) == (b"200", b"elsewhere")
    assert [asked for asked, _ in firm.plain.seen if asked == path] == [path]
    rows = await asyncio.to_thread(desk.world.gateway.rows_of, name_of(writer))
    assert [(row["status"], row["cause"]) for row in rows] == [(200, None)]


@pytest.mark.parametrize("case", ["HTTP/2 alone", "edited"])
def test_what_mitmproxy_carries_goes_through_it_too(desk: Desk, case: str) -> None:
    versions = {"http1": False, "http2": True} if "HTTP/2" in case else {}
    with desk.world.gateway.client(**versions) as client:
        headers = {"authorization": f"Bearer {new_key()}"}
        if versions:
            answer = client.get("https://api.openai.com/v1/models", headers=headers)
        else:
            body = {"model": "text-embedding-3-small", "input": "x"}
            answer = client.post("https://api.openai.com/v1/embeddings", headers=headers, json=body)
    assert answer.status_code == 200, answer.text


async def test_what_it_cannot_reach_is_told_as_that(desk: Desk) -> None:
    found = await asyncio.gather(call(desk.world.gateway, "dead"), tunnel(desk.world.gateway, "dead.test:9"))
    check(found[0], "network.proxy_upstream_error", "api")
    check(found[1], "network.proxy_upstream_error", "tunnel")
    check(await upgrade(desk.world.gateway, "dead"), "network.proxy_upstream_error", "websocket")


async def _checked(world: World, cause: str, *words: str) -> None:
    found = await asyncio.gather(call(world.gateway, "openai"), tunnel(world.gateway, "provider.test:443"))
    for refusal, kind in zip(found, ("api", "tunnel"), strict=True):
        check(refusal, cause, kind)
        assert all(word in refusal[2] for word in words), refusal[2]
    check(await upgrade(world.gateway, "openai"), cause, "websocket")


@pytest.mark.parametrize("login", ["", "jo%40firm.test:wrong-canary@"], ids=["none", "wrong"])
async def test_a_missing_or_wrong_login_is_told_as_such(
    firm: Office, locked_proxy: Microsocks, tmp_path: Path, login: str
) -> None:
    address = locked_proxy.address().replace("://", f"://{login}")
    with firm.world(tmp_path, env={"HTTPS_PROXY": address}) as world:
        await _checked(world, "network.proxy_auth", "user name and password")
        assert leaks(world, (b"wrong-canary",)) == []


async def test_an_http_address_of_it_is_told_as_a_wrong_setting(
    firm: Office, open_proxy: Microsocks, tmp_path: Path
) -> None:
    with firm.world(tmp_path, env={"HTTPS_PROXY": open_proxy.address(scheme="http")}) as world:
        await _checked(world, "network.proxy_misconfigured", "is it a socks5:// proxy?")


async def test_one_that_is_gone_is_named(firm: Office, tmp_path: Path) -> None:
    with microsocks() as gone:
        address = gone.address()
    with firm.world(tmp_path, env={"HTTPS_PROXY": address}) as world:
        await _checked(world, "network.proxy_unreachable", f"127.0.0.1:{gone.port}")


async def test_a_name_that_has_to_be_found_here_is_looked_for_here(
    firm: Office, open_proxy: Microsocks, tmp_path: Path
) -> None:
    """By socks5:// as with curl; the proxy alone knows the name."""
    with firm.world(tmp_path, env={"HTTPS_PROXY": open_proxy.address(scheme="socks5")}) as world:
        asked = len(open_proxy.asked_for)
        status, body, _, _ = await ask_for_tunnel(world.gateway, "provider.test:443")
        assert (status, body["error"]["code"]) == (502, "network.dns_failure")
        assert len(open_proxy.asked_for) == asked
        assert await asyncio.to_thread(GatewayProcess.until, lambda: world.gateway.flows(kind="tunnel"))
