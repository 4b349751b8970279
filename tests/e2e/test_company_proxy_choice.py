"""Which proxy variables are followed: NO_PROXY, a proxy that cannot be used, and a proxy that is the gateway itself."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.configured import ways
from gateway.settings import Address, Settings
from gateway.settings.tree import Listen
from tests.e2e.office import Office, ask_for_tunnel, name_of
from tests.e2e.squid import Squid
from tests.e2e.world import World
from tests.running import GatewayProcess, plain, read_answer


@pytest.fixture(scope="module")
def desk(firm: Office, proxy: Squid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One with a proxy for TLS, an exception of each source, and an address that cannot be used for all else."""
    env = {
        "HTTPS_PROXY": proxy.address(), "ALL_PROXY": "socks://jo:socks-canary@localhost:1", "NO_PROXY": "*.firm.test",
    }  # fmt: skip
    with firm.world(tmp_path_factory.mktemp("desk"), '[network]\nno_proxy = ["nowhere.test"]\n', env) as world:
        yield world


@pytest.mark.parametrize("target", ["intern.firm.test:443", "nowhere.test:443", "deep.nowhere.test:443"])
async def test_what_no_proxy_names_is_looked_for_straight(desk: World, proxy: Squid, target: str) -> None:
    """Only the proxy knows such names, so straight means that they are not found."""
    status, body, _, writer = await ask_for_tunnel(desk.gateway, target)
    assert (status, body["error"]["code"]) == (502, "network.dns_failure")
    (row,) = await asyncio.to_thread(desk.gateway.rows_of, name_of(writer))
    assert row["cause"] == "network.dns_failure"
    assert target not in {row[2] for row in proxy.asked_for}


async def test_what_no_proxy_does_not_name_goes_through_it(desk: World, firm: Office, proxy: Squid) -> None:
    target = f"elsewhere.test:{firm.secure.port}"
    status, _, _, writer = await ask_for_tunnel(desk.gateway, target)
    assert status == 200
    writer.close()
    assert await asyncio.to_thread(GatewayProcess.until, lambda: (200, "CONNECT", target, "-") in proxy.asked_for)


async def test_addresses_of_this_machine_are_reached_without_it(desk: World, firm: Office, proxy: Squid) -> None:
    for name in ("localhost", "127.0.0.1"):
        target = f"{name}:{firm.secure.port}"
        status, _, _, writer = await ask_for_tunnel(desk.gateway, target)
        assert status == 200
        writer.close()
        assert target not in {row[2] for row in proxy.asked_for}


@pytest.mark.parametrize("listener", ["listen", "page"])
@pytest.mark.parametrize("name", ["127.1", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]", "127.0.0.2"])
async def test_our_own_listeners_cannot_be_reached_through_it(desk: World, name: str, listener: str) -> None:
    """It may run on this very machine, where such an address leads it back to us."""
    port = desk.gateway.runtime[listener].rpartition(":")[2]
    status, body, _, _ = await ask_for_tunnel(desk.gateway, f"{name}:{port}")
    assert (status, body["error"]["code"]) == (508, "proxy.loop_detected")


async def test_an_address_that_cannot_be_used_is_told_and_is_not_used(desk: World, firm: Office) -> None:
    log = desk.gateway.log.read_text()
    assert "ALL_PROXY is not used: expected an address like http://proxy.example.com:3128 or socks5h://" in log
    assert "socks:// does not say which SOCKS it is" in log
    assert "socks-canary" not in log
    reader, writer = await plain(desk.gateway)
    authority = f"elsewhere.test:{firm.plain.port}"
    writer.write(f"GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 502")
    assert b"network.dns_failure" in body


async def test_a_gateway_whose_proxy_is_itself_goes_straight(firm: Office, tmp_path: Path) -> None:
    """A shell that took its variables from a gateway starts the next one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), f"http://localhost:{port}")
    gateway = await asyncio.to_thread(GatewayProcess, tmp_path, firm.config(), "--listen", f"127.0.0.1:{port}", env=env)
    try:
        assert "which is this gateway itself; it goes straight instead" in gateway.log.read_text()
        status, body, _, _ = await ask_for_tunnel(gateway, "nowhere.test:443")
        assert (status, body["error"]["code"]) == (502, "network.dns_failure")
    finally:
        await asyncio.to_thread(gateway.stop)


OURS = Address("127.0.0.1", 8080)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST", "0.0.0.0", "[::]", "127.1"])
def test_this_machine_is_known_by_all_its_names(name: str, scheme: str) -> None:
    settings = Settings(listen=Listen(address=OURS))
    out, remarks = ways(
        settings, {"HTTPS_PROXY": f"{scheme}://{name}:8080", "HTTP_PROXY": "http://proxy.firm.test:8080"}
    )
    assert out.https is None
    assert str(out.http) == "http://proxy.firm.test:8080", "another machine's port 8080 is not ours"
    assert len(remarks) == 1


@pytest.mark.parametrize("url", ["http://localhost:3128", "http://proxy.firm.test:8080"])
def test_a_proxy_that_is_not_this_gateway_stays(url: str) -> None:
    out, remarks = ways(Settings(listen=Listen(address=OURS)), {"ALL_PROXY": url})
    assert (str(out.https), str(out.http), remarks) == (url, url, ())
