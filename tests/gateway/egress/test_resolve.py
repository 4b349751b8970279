"""The address that is checked is the address that is connected to."""

import socket
from typing import Any

import pytest

from gateway.egress.dial import Dialer
from gateway.egress.fence import Fence
from gateway.egress.network import Via, Ways
from gateway.egress.resolve import BarredError
from gateway.egress.send import AiohttpUpstream
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from tests.gateway.egress.wire import OK, a_request, forever, provider

NAME = "files.example.com"


class Names:
    """The system's resolver, answering by script: the last answer stays."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.asked = 0

    def __call__(self, _host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address that a connection is tried to; none leaves this machine."""
    tried: list[str] = []

    def connect(_self: socket.socket, address: Any) -> None:
        tried.append(str(address[0]))
        raise ConnectionRefusedError(111, "no")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def a_dialer(*allowed: str, ways: Ways | None = None) -> Dialer:
    fence = Fence(allowed, lambda host, port: (host, port) in {("proxy.corp", 3128), ("llm.corp.example", 443)})
    return Dialer(ca_file=None, own_address=lambda _host, _port: False, ways=ways or Ways(), barred=fence.bars_address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::ffff:10.0.0.1", "0.0.0.0"],
)
async def test_a_name_that_leads_inside_is_not_connected_to(names: Names, connected: list[str], address: str) -> None:
    names.answers = [[address]]
    dialer = a_dialer(NAME)
    with pytest.raises(BarredError, match=r"files\.example\.com leads to"):
        await dialer.stream(NAME, 443, Timeline())
    with pytest.raises(BarredError):
        await AiohttpUpstream(dialer).open(a_request(Origin("http", NAME, 80)), Timeline())
    await dialer.close()
    assert connected == []


async def test_one_bad_address_among_good_ones_is_enough(names: Names, connected: list[str]) -> None:
    names.answers = [["93.184.216.34", "192.168.0.1"]]
    dialer = a_dialer(NAME)
    with pytest.raises(BarredError):
        await dialer.stream(NAME, 443, Timeline())
    await dialer.close()
    assert connected == []


async def test_a_name_that_changes_its_mind_changes_nothing(names: Names, connected: list[str]) -> None:
    """DNS rebinding: public when it is checked, private a moment later. Nobody asks a second time before connecting."""
    names.answers = [["93.184.216.34"], ["127.0.0.1"]]
    dialer = a_dialer(NAME)
    with pytest.raises(OSError, match="Cannot connect to host"):
        await dialer.stream(NAME, 443, Timeline())
    assert (connected, names.asked) == (["93.184.216.34"], 1)
    dialer._resolver._kept.clear()
    with pytest.raises(BarredError, match=r"leads to 127\.0\.0\.1, the machine of the gateway itself"):
        await dialer.stream(NAME, 443, Timeline())
    await dialer.close()
    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "::1", "10.0.0.1"])
async def test_an_address_is_not_looked_up_and_checked_all_the_same(connected: list[str], host: str) -> None:
    dialer = a_dialer(NAME)
    with pytest.raises(BarredError):
        await dialer.stream(host, 443, Timeline())
    await dialer.close()
    assert connected == []


@pytest.mark.parametrize("host", ["0x7f000001", "0177.0.0.1", "localhost"])
async def test_a_spelling_that_only_the_system_knows_is_checked_by_what_it_means(
    connected: list[str], host: str
) -> None:
    dialer = a_dialer(host)
    with pytest.raises(BarredError):
        await dialer.stream(host, 443, Timeline())
    await dialer.close()
    assert connected == []


async def test_where_the_operator_leads_calls_may_be_private(names: Names, connected: list[str]) -> None:
    names.answers = [["10.0.0.9"]]
    dialer = a_dialer()
    with pytest.raises(OSError, match="Cannot connect to host"):
        await dialer.stream("llm.corp.example", 443, Timeline())
    await dialer.close()
    assert connected == ["10.0.0.9"]


async def test_the_companys_proxy_may_be_private_too(names: Names, connected: list[str]) -> None:
    """What it makes of a name is its own affair; an address is refused before it is asked."""
    names.answers = [["10.0.0.1"]]
    via = Via("http", "proxy.corp", 3128)
    dialer = a_dialer(NAME, ways=Ways(https=via, http=via))
    with pytest.raises(Exception, match="cannot be reached"):
        await dialer.stream(NAME, 443, Timeline())
    await dialer.close()
    assert connected == ["10.0.0.1"]


async def test_without_bounds_every_address_is_reached() -> None:
    dialer = Dialer(ca_file=None, own_address=lambda _host, _port: False, ways=Ways())
    async with provider(forever(OK)) as wire:
        stream = await dialer.stream("localhost", wire.origin.port, Timeline())
        stream.transport.abort()
        await dialer.close()
