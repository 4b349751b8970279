"""The company's proxy: each way in which it gives no tunnel has its cause, held against another host and no proxy."""

import socket
import ssl
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
import trustme

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Connects, Tunnel
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.upstream_proxy import PROBE
from gateway.doctor.wire import Answer
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.egress.wire import OK, Connection, Script, deaf_port, once, provider

VIA = parse_via("http://me:secret@proxy.firm.test:3128")
CASE = Case(target=Target(host="api.openai.com", provider=OPENAI, name="openai"), via=VIA)
REACHED = Connects(address="10.0.0.3", port=3128, about="proxy", connect_ms=(1.0,))
TUNNEL = Answer(status=200, connect_ms=12.0)
ANSWERED = Answer(status=401, text='{"error": {}}')


def _refusal(code: NetCode, status: int = 0, text: str = "", detail: str = "", **headers: str) -> Answer:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    failure = NetFailure(phase=Phase.CONNECT, code=code, detail=detail or f"the proxy answered {status}", sent=False)
    return Answer(status=status, headers=pairs, text=text, failure=failure)


def _seen(connect: Answer, **more: Any) -> Tunnel:
    return replace(Tunnel(via=str(VIA), reach=REACHED, connect=connect), **more)


def _check(seen: Tunnel, case: Case = CASE) -> Check:
    [check] = PROBE.judge(case, Done(seen))
    return check


def _verdict(seen: Tunnel, case: Case = CASE) -> Diagnosis:
    check = _check(seen, case)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert "secret" not in repr(check)
    return check.diagnosis


def _ruled_out(verdict: Diagnosis) -> set[Cause]:
    return {one.cause for one in verdict.ruled_out}


def test_a_tunnel_is_well_and_what_fails_past_the_proxy_is_no_trouble() -> None:
    check = _check(_seen(TUNNEL, straight=Answer(failure=_refusal(NetCode.CONNECT_TIMEOUT).failure)))
    assert check.status is Status.OK


def test_a_proxy_that_is_not_there() -> None:
    gone = _refusal(
        NetCode.PROXY_UNREACHABLE, detail="the proxy http://proxy.firm.test:3128 cannot be reached: refused"
    )
    verdict = _verdict(_seen(gone, reach=Connects(address="", port=3128, failures=(gone.failure,)), straight=ANSWERED))  # type: ignore[arg-type]
    assert (verdict.cause, verdict.precision) == (Cause.NETWORK_PROXY_UNREACHABLE, Precision.CONFIRMED)
    assert Cause.SERVICE_UNAVAILABLE in _ruled_out(verdict)
    assert any("past the proxy" in line for line in verdict.evidence)


def test_a_proxy_that_drops_every_packet_is_not_there_either() -> None:
    late = _refusal(NetCode.PROXY_UPSTREAM_ERROR, detail="gave no tunnel within 4 s")
    silent = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="no answer within 2 s", sent=False)
    verdict = _verdict(_seen(late, reach=Connects(address="", port=3128, failures=(silent,))))
    assert verdict.cause is Cause.NETWORK_PROXY_UNREACHABLE
    assert "no answer within 2 s" in verdict.what_happened


def test_a_login_is_wanted_and_none_is_set() -> None:
    wants = _refusal(NetCode.PROXY_AUTH, 407, proxy_authenticate='Basic realm="firm"')
    verdict = _verdict(_seen(wants), replace(CASE, via=parse_via("http://proxy.firm.test:3128")))
    assert verdict.cause is Cause.NETWORK_PROXY_AUTH
    assert any("accepts Basic" in line for line in verdict.evidence)
    assert any("holds no login" in line for line in verdict.evidence)


def test_a_login_is_sent_and_not_taken() -> None:
    wants = _refusal(NetCode.PROXY_AUTH, 407, proxy_authenticate="Negotiate")
    verdict = _verdict(_seen(wants))
    assert verdict.cause is Cause.NETWORK_PROXY_AUTH
    assert any("did not take it" in line for line in verdict.evidence)


def test_a_name_that_is_denied_while_another_passes() -> None:
    denied = _refusal(NetCode.PROXY_DENIED, 403, detail="the proxy answered 403 (ERR_ACCESS_DENIED)")
    verdict = _verdict(_seen(denied, control=TUNNEL))
    assert (verdict.cause, verdict.precision) == (Cause.NETWORK_PROXY_DENIED, Precision.CONFIRMED)
    assert {Cause.NETWORK_OFFLINE, Cause.NETWORK_PROXY_UNREACHABLE} <= _ruled_out(verdict)
    assert any("example.com" in line for line in verdict.evidence)


def test_a_proxy_that_denies_all_says_so() -> None:
    denied = _refusal(NetCode.PROXY_DENIED, 403)
    verdict = _verdict(_seen(denied, control=denied))
    assert verdict.cause is Cause.NETWORK_PROXY_DENIED
    assert any("gives none either" in line for line in verdict.evidence)


def test_a_products_page_as_the_refusal_names_the_product() -> None:
    page = (
        "<html><title>Zscaler</title><body>Sorry, you don't have permission to visit this site. Zscaler</body></html>"
    )
    denied = _refusal(NetCode.PROXY_DENIED, 403, page, content_type="text/html", server="Zscaler/6.2")
    verdict = _verdict(_seen(denied, control=TUNNEL))
    assert verdict.cause in {Cause.NETWORK_BLOCKED_PAGE, Cause.NETWORK_PROXY_DENIED}
    assert verdict.vendor == "Zscaler"


def test_a_proxy_that_cannot_reach_the_target() -> None:
    failed = _refusal(NetCode.PROXY_UPSTREAM_ERROR, 503, detail="the proxy answered 503 (ERR_CONNECT_FAIL)")
    verdict = _verdict(_seen(failed, control=TUNNEL, straight=ANSWERED))
    assert verdict.cause is Cause.NETWORK_PROXY_UPSTREAM_ERROR
    assert Cause.SERVICE_UNAVAILABLE in _ruled_out(verdict)


def test_something_that_is_no_proxy() -> None:
    verdict = _verdict(_seen(_refusal(NetCode.PROXY_MISCONFIGURED, 405, detail="the proxy answered 405")))
    assert verdict.cause is Cause.NETWORK_PROXY_MISCONFIGURED


def test_nobody_is_called_a_control_where_nobody_was_asked() -> None:
    verdict = _verdict(_seen(_refusal(NetCode.PROXY_DENIED, 403)), replace(CASE, asked=False))
    assert verdict.precision is not Precision.CONFIRMED
    assert any("no control" in line for line in verdict.evidence)


def test_without_a_proxy_it_is_left_out() -> None:
    assert PROBE.leave_out(Case(target=CASE.target)) == "no proxy is set"
    assert PROBE.leave_out(CASE) == ""
    assert PROBE.unasked
    assert list(PROBE.judge(CASE, Done())) == []


# measured on real sockets


async def _measured(script: Script, scheme: str = "http", tls: ssl.SSLContext | None = None, **more: Any) -> Tunnel:
    async with provider(script, tls) as wire:
        via = parse_via(f"{scheme}://me:secret@127.0.0.1:{wire.origin.port}")
        lists = Lists(connect_to={"provider.test:9": "127.0.0.1:9"})
        case = Case(target=Target(host="provider.test", port=9), lists=lists, via=via, **more)
        seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Tunnel)
    assert "secret" not in repr(seen)
    return seen


def _says(answer: bytes) -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer)

    return script


async def test_a_tunnel_is_measured_with_a_control_and_past_the_proxy() -> None:
    seen = await _measured(_says(b"HTTP/1.1 200 OK\r\n\r\n"))
    assert (seen.connect.failure, seen.connect.status) == (None, 200)
    assert seen.reach.connect_ms
    assert seen.control is not None
    assert seen.straight is not None
    assert seen.straight.failure is not None


async def test_unasked_only_the_proxy_is_asked_and_for_the_target_alone() -> None:
    asked: list[bytes] = []

    async def script(connection: Connection) -> None:
        asked.append(await connection.request())
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")

    seen = await _measured(script, asked=False)
    assert (seen.control, seen.straight) == (None, None)
    assert [line.split(b"\r\n")[0] for line in asked] == [b"CONNECT provider.test:9 HTTP/1.1"]
    assert b64encode(b"me:secret") in asked[0]


CODES = {
    b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n": NetCode.PROXY_AUTH,
    b"HTTP/1.1 403 No\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 0\r\n\r\n": NetCode.PROXY_DENIED,
    b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n": NetCode.PROXY_UPSTREAM_ERROR,
    b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n": NetCode.PROXY_MISCONFIGURED,
    b"\x15\x03\x03\x00\x02\x02\x28": NetCode.PROXY_MISCONFIGURED,
    b"": NetCode.PROXY_UNREACHABLE,
}


@pytest.mark.parametrize("words", CODES)
async def test_each_refusal_is_measured(words: bytes) -> None:
    seen = await _measured(_says(words))
    assert seen.connect.failure is not None
    assert seen.connect.failure.code is CODES[words]


async def _hasty(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_tls_towards_a_proxy_that_speaks_plain_http() -> None:
    for script in (_says(OK), _hasty):
        assert _verdict(await _measured(script, "https")).cause is Cause.NETWORK_PROXY_MISCONFIGURED


async def test_plain_http_towards_a_proxy_that_speaks_tls() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    seen = await _measured(once(OK), tls=context)
    assert seen.connect.failure is not None
    assert seen.connect.failure.code in {NetCode.PROXY_MISCONFIGURED, NetCode.PROXY_UNREACHABLE}


async def test_nobody_at_the_proxys_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        case = Case(target=CASE.target, via=parse_via(f"http://127.0.0.1:{free.getsockname()[1]}"), asked=False)
        seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Tunnel)
    assert [one.code for one in seen.reach.failures] == [NetCode.CONNECTION_REFUSED]
    assert _verdict(seen, case).cause is Cause.NETWORK_PROXY_UNREACHABLE


async def test_a_proxy_that_is_silent_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.doctor.probes.upstream_proxy._REACH_SECONDS", 0.2)
    monkeypatch.setattr("gateway.doctor.probes.upstream_proxy._TUNNEL_SECONDS", 0.4)
    with deaf_port() as port:
        case = Case(target=CASE.target, via=parse_via(f"http://127.0.0.1:{port}"), asked=False)
        seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Tunnel)
    assert _verdict(seen, case).cause is Cause.NETWORK_PROXY_UNREACHABLE
