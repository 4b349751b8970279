"""Through a SOCKS proxy: what is said, byte for byte (RFC 1928, RFC 1929), and a cause for each way to fail."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.egress.classify import classify
from gateway.egress.dial import Dialer
from gateway.egress.fence import Fence
from gateway.egress.lookups import Found, Question
from gateway.egress.network import Via, Ways, parse_via
from gateway.egress.resolve import BarredError, LoopError
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.driver import until
from tests.gateway.egress.wire import OK, Connection, Script, Wire, a_request, client, forever, once, provider

TARGET, PLAIN = Origin("https", "provider.test", 443), Origin("http", "provider.test", 80)
AUTHORITY = trustme.CA()
MADE_5, MADE_4 = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90", b"\x00\x5a\x00\x00\x00\x00\x00\x00"
NAME = b"\x0dprovider.test"


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


@pytest.fixture
async def target() -> AsyncIterator[Wire]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("provider.test").configure_cert(context)
    async with provider(forever(OK), context) as wire:
        yield wire


def _talks(*turns: tuple[int, bytes], to: int = 0) -> Script:
    """Give a proxy that reads so many bytes and answers them, turn by turn, and then is a tunnel to a port, if any."""

    async def script(connection: Connection) -> None:
        for length, answer in turns:
            connection.wire.requests.append(await connection.reader.readexactly(length))
            await connection.say(answer)
        if not to:
            await connection.until_closed()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", to)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
                sink.close()

        try:
            await asyncio.gather(copy(connection.reader, writer), copy(reader, connection.writer))
        finally:
            writer.close()

    return script


def _via(scheme: str, proxy: Wire, login: str = "") -> Via:
    return parse_via(f"{scheme}://{login}127.0.0.1:{proxy.origin.port}")


def _ways(scheme: str, proxy: Wire, login: str = "") -> Ways:
    via = _via(scheme, proxy, login)
    return Ways(https=via, http=via)


class Names:
    """The resolver of the gateway's own side."""

    def __init__(self, *addresses: str) -> None:
        self.asked: list[str] = []
        self._found = tuple(Found(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses)

    def __call__(self, question: Question) -> tuple[Found, ...]:
        self.asked.append(question.host)
        if not self._found:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return self._found


NINE, NINE_6 = b"\x09\x09\x09\x09", b"\x20\x01\x0d\xb8" + b"\0" * 11 + b"\x09"
GREETED, LOGIN = (3, b"\x05\x00"), "us%40er:p%C3%BC@"
SAID_LOGIN = b"\x01\x05us@er\x03p\xc3\xbc"

# scheme, login, addresses of the target's name, and what is asked and answered, byte for byte
TALKS = {
    "socks5h": ("socks5h", "", (), [(b"\x05\x01\x00", b"\x05\x00"), (b"\x05\x01\x00\x03" + NAME + b"\x01\xbb", MADE_5)]),
    "socks5h, answered with a name": (
        "socks5h", "", (),
        [(b"\x05\x01\x00", b"\x05\x00"), (b"\x05\x01\x00\x03" + NAME + b"\x01\xbb", b"\x05\x00\x00\x03\x04here\x00\x01")],
    ),
    "socks5h, answered with IPv6": (
        "socks5h", "", (),
        [(b"\x05\x01\x00", b"\x05\x00"), (b"\x05\x01\x00\x03" + NAME + b"\x01\xbb", b"\x05\x00\x00\x04" + NINE_6 + b"\x00\x01")],
    ),
    "socks5h with a login": (
        "socks5h", LOGIN, (),
        [(b"\x05\x02\x00\x02", b"\x05\x02"), (SAID_LOGIN, b"\x01\x00"), (b"\x05\x01\x00\x03" + NAME + b"\x01\xbb", MADE_5)],
    ),
    "socks5h with a login, in a slip of versions": (
        "socks5h", LOGIN, (),
        [(b"\x05\x02\x00\x02", b"\x05\x02"), (SAID_LOGIN, b"\x05\x00"), (b"\x05\x01\x00\x03" + NAME + b"\x01\xbb", MADE_5)],
    ),
    "socks5h with a login that is not asked for": (
        "socks5h", LOGIN, (), [(b"\x05\x02\x00\x02", b"\x05\x00"), (b"\x05\x01\x00\x03" + NAME + b"\x01\xbb", MADE_5)]
    ),
    "socks5": ("socks5", "", ("9.9.9.9",), [(b"\x05\x01\x00", b"\x05\x00"), (b"\x05\x01\x00\x01" + NINE + b"\x01\xbb", MADE_5)]),
    "socks5, IPv6": (
        "socks5", "", ("2001:db8::9", "9.9.9.9"),
        [(b"\x05\x01\x00", b"\x05\x00"), (b"\x05\x01\x00\x04" + NINE_6 + b"\x01\xbb", MADE_5)],
    ),
    "socks4": ("socks4", "", ("2001:db8::9", "9.9.9.9"), [(b"\x04\x01\x01\xbb" + NINE + b"\x00", MADE_4)]),
    "socks4 with a user": ("socks4", "jo@", ("9.9.9.9",), [(b"\x04\x01\x01\xbb" + NINE + b"jo\x00", MADE_4)]),
    "socks4a": ("socks4a", "", (), [(b"\x04\x01\x01\xbb\x00\x00\x00\xff\x00provider.test\x00", MADE_4)]),
}  # fmt: skip


@pytest.mark.parametrize("case", TALKS)
async def test_each_kind_is_asked_as_its_protocol_wants_and_the_next_call_takes_the_same_tunnel(
    target: Wire, ca_file: str, case: str
) -> None:
    scheme, login, addresses, talk = TALKS[case]
    names = Names(*addresses)
    script = _talks(*((len(asked), answer) for asked, answer in talk), to=target.origin.port)
    async with provider(script) as proxy, client(ca_file, ways=_ways(scheme, proxy, login), look_up=names) as upstream:
        for _ in range(2):
            incoming = await upstream.open(a_request(TARGET), Timeline())
            assert await incoming.all(100) == b"ok"
            incoming.abort()
    assert proxy.requests == [asked for asked, _ in talk]
    assert names.asked == (["provider.test"] if addresses else []), "only who needs an address looks the name up"
    assert len(target.requests) == 2
    assert b"roxy" not in b"".join(target.requests)


@pytest.mark.parametrize(("scheme", "host", "said"), [
    ("socks5h", "9.9.9.9", b"\x01" + NINE), ("socks5h", "2001:db8::9", b"\x04" + NINE_6), ("socks5", "9.9.9.9", b"\x01" + NINE),
])  # fmt: skip
async def test_an_address_is_told_as_one(scheme: str, host: str, said: bytes) -> None:
    asked = b"\x05\x01\x00" + said + b"\x00\x50"
    async with (
        provider(forever(OK)) as far,
        provider(_talks(GREETED, (len(asked), MADE_5), to=far.origin.port)) as proxy,
        client(ways=_ways(scheme, proxy)) as upstream,
    ):
        incoming = await upstream.open(a_request(Origin("http", host, 80)), Timeline())
        assert await incoming.all(100) == b"ok"
    assert proxy.requests[1] == asked


async def test_a_plain_target_goes_through_a_tunnel_too_and_is_asked_as_without_a_proxy() -> None:
    async with provider(forever(OK)) as far:
        script = _talks(GREETED, (20, MADE_5), to=far.origin.port)
        async with provider(script) as proxy, client(ways=_ways("socks5h", proxy)) as upstream:
            incoming = await upstream.open(a_request(PLAIN), Timeline())
            assert await incoming.all(100) == b"ok"
    assert far.requests == [b"GET /v1/x HTTP/1.1\r\nhost: provider.test\r\n\r\n"]


async def test_an_upgrade_goes_through_a_tunnel_too() -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nearly"
    async with (
        provider(once(switched)) as far,
        provider(_talks(GREETED, (20, MADE_5), to=far.origin.port)) as proxy,
        client(ways=_ways("socks5h", proxy)) as upstream,
    ):
        incoming = await upstream.open(a_request(PLAIN, upgrade=True), Timeline())
        stream = incoming.detach()
        assert (incoming.head.status, stream.early) == (101, b"early")
        stream.transport.abort()


async def test_a_stream_of_bytes_loses_nothing_that_came_with_the_answer() -> None:
    async with (
        provider(_talks(GREETED, (20, MADE_5 + b"220 hello\r\n"))) as proxy,
        client(ways=_ways("socks5h", proxy)) as upstream,
    ):
        stream = await upstream.stream("provider.test", 25, Timeline())
        assert stream.early == b"220 hello\r\n"
        stream.transport.abort()


async def test_an_answer_in_single_bytes_is_read_all_the_same() -> None:
    async def script(connection: Connection) -> None:
        for length, answer in ((3, b"\x05\x00"), (20, MADE_5)):
            await connection.reader.readexactly(length)
            for at in range(len(answer)):
                await connection.say(answer[at : at + 1])
                await asyncio.sleep(0.002)
        await connection.until_closed()

    async with provider(script) as proxy, client(ways=_ways("socks5h", proxy)) as upstream:
        (await upstream.stream("provider.test", 25, Timeline())).transport.abort()


# refusals


async def _fail(ways: Ways, origin: Origin = TARGET, names: Names | None = None) -> NetFailure:
    async with client(ways=ways, look_up=names or Names("9.9.9.9")) as upstream:
        timeline = Timeline()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, is what `classify` tells
            await upstream.open(a_request(origin), timeline)
        return classify(caught.value, timeline.phase)


def _five(code: int) -> bytes:
    return bytes((5, code)) + MADE_5[2:]


def _four(code: int) -> bytes:
    return bytes((0, code)) + MADE_4[2:]


HTTP = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
REFUSALS = {
    "no method": ("socks5h", "", [(3, b"\x05\xff")], NetCode.PROXY_AUTH, "wants a user name and password"),
    "no method for a login": ("socks5h", "u:s3cret@", [(4, b"\x05\xff")], NetCode.PROXY_AUTH, "takes no user name and password"),
    "Kerberos alone": ("socks5h", "", [(3, b"\x05\x01")], NetCode.PROXY_AUTH, "wants a user name and password"),
    "a login unasked": ("socks5h", "", [(3, b"\x05\x02")], NetCode.PROXY_AUTH, "wants a user name and password"),
    "wrong login": ("socks5h", "u:s3cret@", [(4, b"\x05\x02"), (10, b"\x01\x01")], NetCode.PROXY_AUTH, "does not take the user name"),
    "general": ("socks5h", "", [GREETED, (20, _five(1))], NetCode.PROXY_UPSTREAM_ERROR, "SOCKS5 answer 1"),
    "ruleset": ("socks5h", "", [GREETED, (20, _five(2))], NetCode.PROXY_DENIED, "by its rules"),
    "ruleset, cut short": ("socks5h", "", [GREETED, (20, b"\x05\x02")], NetCode.PROXY_DENIED, "by its rules"),
    "network": ("socks5h", "", [GREETED, (20, _five(3))], NetCode.PROXY_UPSTREAM_ERROR, "no route to the network"),
    "host": ("socks5h", "", [GREETED, (20, _five(4))], NetCode.PROXY_UPSTREAM_ERROR, "cannot reach the host"),
    "refused": ("socks5h", "", [GREETED, (20, _five(5))], NetCode.PROXY_UPSTREAM_ERROR, "was refused by the host"),
    "TTL": ("socks5h", "", [GREETED, (20, _five(6))], NetCode.PROXY_UPSTREAM_ERROR, "TTL expired"),
    "command": ("socks5h", "", [GREETED, (20, _five(7))], NetCode.PROXY_MISCONFIGURED, "command not supported"),
    "kind of address": ("socks5h", "", [GREETED, (20, _five(8))], NetCode.PROXY_MISCONFIGURED, "this kind of address"),
    "unheard of": ("socks5h", "", [GREETED, (20, _five(99))], NetCode.PROXY_UPSTREAM_ERROR, "SOCKS5 answer 99"),
    "socks4, rejected": ("socks4a", "", [(9, _four(0x5B))], NetCode.PROXY_UPSTREAM_ERROR, "SOCKS4 answer 91"),
    "socks4, identd": ("socks4a", "", [(9, _four(0x5C))], NetCode.PROXY_AUTH, "identd"),
    "socks4, user": ("socks4a", "", [(9, _four(0x5D))], NetCode.PROXY_AUTH, "does not take the user name"),
    "HTTP": ("socks5h", "", [(3, HTTP)], NetCode.PROXY_MISCONFIGURED, "is it an http:// proxy?"),
    "HTTP for socks4": ("socks4a", "", [(9, HTTP)], NetCode.PROXY_MISCONFIGURED, "is it an http:// proxy?"),
    "SSH": ("socks5", "", [(3, b"SSH-2.0-OpenSSH_9.2\r\n")], NetCode.PROXY_MISCONFIGURED, "does not answer in socks5"),
    "TLS": ("socks5h", "", [(3, b"\x15\x03\x01\x00\x02\x02\x46")], NetCode.PROXY_MISCONFIGURED, "does not answer in socks5h"),
    "4 for 5": ("socks5h", "", [(3, _four(0x5B))], NetCode.PROXY_MISCONFIGURED, "is it a socks4:// proxy?"),
    "5 for 4": ("socks4a", "", [(9, b"\x05\xff")], NetCode.PROXY_MISCONFIGURED, "is it a socks5:// proxy?"),
    "a method of nobody": ("socks5h", "", [(3, b"\x05\x77")], NetCode.PROXY_MISCONFIGURED, "no proxy of SOCKS"),
    "an answer of nobody": ("socks4a", "", [(9, _four(0x11))], NetCode.PROXY_MISCONFIGURED, "no proxy of SOCKS"),
    "an address of nobody": ("socks5h", "", [GREETED, (20, b"\x05\x00\x00\x09" + b"\x01" * 9)], NetCode.PROXY_MISCONFIGURED, "no proxy of SOCKS"),
}  # fmt: skip
CAUSES = {
    NetCode.PROXY_AUTH: Cause.NETWORK_PROXY_AUTH,
    NetCode.PROXY_DENIED: Cause.NETWORK_PROXY_DENIED,
    NetCode.PROXY_MISCONFIGURED: Cause.NETWORK_PROXY_MISCONFIGURED,
    NetCode.PROXY_UNREACHABLE: Cause.NETWORK_PROXY_UNREACHABLE,
    NetCode.PROXY_UPSTREAM_ERROR: Cause.NETWORK_PROXY_UPSTREAM_ERROR,
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_each_refusal_has_its_cause_and_says_why(case: str) -> None:
    scheme, login, turns, code, words = REFUSALS[case]
    async with provider(_talks(*turns)) as proxy:
        failure = await _fail(_ways(scheme, proxy, login))
        await asyncio.wait_for(proxy.connections[0].ended.wait(), 5)
    assert (failure.code, failure.phase, failure.sent) == (code, Phase.CONNECT, False)
    assert words in failure.detail
    assert f"{scheme}://127.0.0.1:{proxy.origin.port}" in failure.detail
    assert "s3cret" not in repr(failure)
    verdict = diagnose(Evidence(provider=None, host="provider.test", failure=failure))
    assert verdict.cause is CAUSES[code]


@pytest.mark.parametrize("origin", [TARGET, PLAIN], ids=["TLS", "plain"])
async def test_a_socks_proxy_behind_an_http_address_is_told_as_such(origin: Origin) -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.read(4_096)
        await connection.say(b"\x05\xff")

    async with provider(script) as proxy:
        failure = await _fail(_ways("http", proxy), origin)
    assert (failure.code, failure.phase, failure.sent) == (NetCode.PROXY_MISCONFIGURED, Phase.CONNECT, False)
    assert failure.detail.endswith("speaks SOCKS: is it a socks5:// proxy?")


async def test_a_proxy_that_is_not_there() -> None:
    async with provider(_talks()) as proxy:
        ways = _ways("socks5h", proxy)
    failure = await _fail(ways)
    assert (failure.code, failure.phase, failure.sent) == (NetCode.PROXY_UNREACHABLE, Phase.CONNECT, False)


@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
@pytest.mark.parametrize("scheme", ["socks5h", "socks4a", "http"])
async def test_a_proxy_that_hangs_up_instead_of_answering(scheme: str, *, reset: bool) -> None:
    async def hangs_up(connection: Connection) -> None:
        await connection.reader.read(100)
        if reset:
            connection.reset()

    async with provider(hangs_up) as proxy:
        failure = await _fail(_ways(scheme, proxy))
    assert (failure.code, failure.phase, failure.sent) == (NetCode.PROXY_UNREACHABLE, Phase.CONNECT, False)
    assert "the connection without an answer" in failure.detail


@pytest.mark.parametrize(
    ("scheme", "turns", "code"),
    [
        ("socks5h", [], NetCode.PROXY_MISCONFIGURED),
        ("socks5h", [GREETED], NetCode.PROXY_UPSTREAM_ERROR),
        ("socks4a", [], NetCode.PROXY_UPSTREAM_ERROR),
    ],
    ids=["greeted", "asked", "socks4"],
)
async def test_a_proxy_that_never_answers_is_given_up(
    scheme: str, turns: list[tuple[int, bytes]], code: NetCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is greeted in SOCKS5 has nobody to look for yet."""
    monkeypatch.setattr("gateway.egress.tunnel.PROXY_ANSWER_SECONDS", 0.1)
    async with provider(_talks(*turns)) as proxy:
        failure = await _fail(_ways(scheme, proxy))
        await asyncio.wait_for(proxy.connections[0].ended.wait(), 5)
    assert failure.code is code


async def test_a_refusal_whose_page_never_ends_is_still_that_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.egress.tunnel.PROXY_ANSWER_SECONDS", 0.1)

    async def refuses(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\nno")
        await connection.until_closed()

    async with provider(refuses) as proxy:
        failure = await _fail(_ways("http", proxy))
    assert (failure.code, failure.around.status) == (NetCode.PROXY_DENIED, 403)


async def test_a_name_that_only_we_could_find_and_do_not() -> None:
    async with provider(_talks()) as proxy:
        failure = await _fail(_ways("socks5", proxy), names=Names())
    assert (failure.code, failure.phase, failure.sent) == (NetCode.DNS_FAILURE, Phase.DNS, False)
    assert proxy.connections == []


@pytest.mark.parametrize("host", ["provider.test", "2001:db8::9"])
async def test_socks4_is_never_told_an_ipv6_address(host: str) -> None:
    async with provider(_talks()) as proxy:
        failure = await _fail(_ways("socks4", proxy), Origin("https", host, 443), Names("2001:db8::9"))
    assert failure.code is NetCode.PROXY_MISCONFIGURED
    assert "SOCKS4 knows no" in failure.detail
    assert all(not connection.wire.requests for connection in proxy.connections)


async def test_a_name_that_is_too_long_to_be_told() -> None:
    async with provider(_talks(GREETED)) as proxy:
        failure = await _fail(_ways("socks5h", proxy), Origin("https", "a." * 140 + "test", 443))
    assert failure.code is NetCode.PROXY_UPSTREAM_ERROR
    assert "over 255 bytes" in failure.detail


# what must not be reached


async def test_an_address_that_is_looked_up_here_is_checked_here() -> None:
    async with provider(_talks()) as proxy:
        fence = Fence(["provider.test"], lambda host, _port: host == "127.0.0.1")
        dialer = Dialer(
            ca_file=None, own_address=lambda _host, _port: False, ways=_ways("socks5", proxy),
            barred=fence.bars_address, look_up=Names("10.0.0.1"),
        )  # fmt: skip
        with pytest.raises(BarredError, match=r"leads to 10\.0\.0\.1"):
            await dialer.stream("provider.test", 443, Timeline())
        await dialer.close()
    assert proxy.connections == []


async def test_we_are_never_our_own_proxy() -> None:
    async with (
        provider(_talks()) as proxy,
        client(own=lambda _host, port: port == proxy.origin.port, ways=_ways("socks5h", proxy)) as upstream,
    ):
        for origin in (TARGET, PLAIN):
            with pytest.raises(LoopError, match="is the gateway itself"):
                await upstream.open(a_request(origin), Timeline())
    assert proxy.connections == []


async def test_a_call_that_is_given_up_leaves_no_connection_to_the_proxy() -> None:
    async with provider(_talks(GREETED)) as proxy, client(ways=_ways("socks5h", proxy)) as upstream:
        asking = asyncio.ensure_future(upstream.open(a_request(TARGET), Timeline()))
        await until(lambda: bool(proxy.requests))
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(proxy.connections[0].ended.wait(), 5)
