"""Proxy and base URL variables, read and tried."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import trustme

from gateway.doctor import proxy_trying
from gateway.doctor.base_url_form import form_of
from gateway.doctor.case import Case
from gateway.doctor.measured import Connects, Tunnel
from gateway.doctor.measured_here import ProxyVariable, Variables
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.proxy_variables import PROBE
from gateway.doctor.probes.upstream_proxy import PROBE as UPSTREAM_PROXY
from gateway.doctor.report import said
from gateway.doctor.wire import Answer
from gateway.egress.network import parse_via
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.probes.far import a_case


@contextlib.asynccontextmanager
async def listening(says: bytes, *, tls: bool = False) -> AsyncIterator[int]:
    """Something that says this to the first words of anybody; nothing at all when there is nothing to say."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(4096)
            if says:
                writer.write(says)
                await writer.drain()
            else:
                await reader.read()
        writer.close()

    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("proxy.corp.example").configure_cert(context)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def measured(case: Case) -> Variables:
    seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Variables)
    return seen


def judged(seen: Variables, *more: object, case: Case | None = None) -> list[Check]:
    return list(PROBE.judge(case or a_case(), Done(seen, *more)))


async def of(environ: dict[str, str], **more: Any) -> list[Check]:
    case = a_case(environ=environ, **more)
    return judged(await measured(case), case=case)


def found(checks: list[Check]) -> list[tuple[Status, Cause]]:
    return [(one.status, one.diagnosis.cause) for one in checks if one.diagnosis is not None]


TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(
    ("scheme", "says", "tls", "problem"),
    [
        ("http", TUNNEL, False, ""),
        ("http", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", False, ""),
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n", False, ""),
        ("http", b"HTTP/1.1 405 Method Not Allowed\r\n\r\n", False, "not_a_proxy"),
        ("http", b"HTTP/1.1 301 Moved\r\nlocation: https://x/\r\n\r\n", False, "not_a_proxy"),
        ("http", b"SSH-2.0-OpenSSH_9.2\r\n", False, "not_a_proxy"),
        ("http", TUNNEL, True, "scheme"),
        ("https", TUNNEL, True, ""),
        ("https", TUNNEL, False, "scheme"),
        ("https", b"SSH-2.0-OpenSSH_9.2\r\n", False, "not_a_proxy"),
        ("socks5", b"\x05\x00", False, ""),
        ("socks5h", TUNNEL, False, "not_a_proxy"),
    ],
)
async def test_what_stands_at_a_proxys_address(scheme: str, says: bytes, tls: bool, problem: str) -> None:
    async with listening(says, tls=tls) as port:
        assert await proxy_trying.problem_at(a_case(), parse_via(f"{scheme}://127.0.0.1:{port}")) == problem


async def test_nobody_there_or_nobody_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await proxy_trying.problem_at(a_case(), parse_via(f"127.0.0.1:{closed_port()}")) == "refused"
    monkeypatch.setattr(proxy_trying, "SECONDS", 0.2)
    async with listening(b"") as port:
        assert await proxy_trying.problem_at(a_case(), parse_via(f"127.0.0.1:{port}")) == "silent"

    async def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio, "open_connection", no_name)
    assert await proxy_trying.problem_at(a_case(), parse_via("http://proxy.corp.example:3128")) == "name"


async def test_without_variables_all_is_well() -> None:
    (check,) = await of({"HOME": "/root", "HTTPS_PROXY": ""})
    assert check.status is Status.OK


async def test_this_gateway_is_the_right_proxy() -> None:
    environ = {"HTTPS_PROXY": "http://localhost:8080", "HTTP_PROXY": "http://127.0.0.1:8080", "NO_PROXY": "localhost"}
    checks = await of(environ, own=(("127.0.0.1", 8080), ("127.0.0.1", 8081)))
    assert {check.status for check in checks} == {Status.OK}


async def test_an_earlier_gateway_is_told_from_a_proxy_that_is_down() -> None:
    port = closed_port()
    (stale,) = await of({"HTTPS_PROXY": f"http://whygate:abcdefghijkl@127.0.0.1:{port}"})
    assert stale.status is Status.FAIL
    assert "no longer runs" in stale.told.text
    assert "abcdefghijkl" not in repr(stale)
    (down,) = await of({"HTTPS_PROXY": f"http://127.0.0.1:{port}"})
    assert found([down]) == [(Status.FAIL, Cause.NETWORK_PROXY_UNREACHABLE)]
    assert "nothing listens" in down.told.text
    (beside,) = await of(
        {"https_proxy": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": "/root/.local/state/whygate/ca-bundle.pem"}
    )
    assert "no longer runs" in beside.told.text


async def test_a_value_that_is_no_address() -> None:
    assert found(await of({"HTTPS_PROXY": "socks://x:1"})) == [(Status.FAIL, Cause.NETWORK_PROXY_MISCONFIGURED)]
    assert found(await of({"HTTP_PROXY": "ftp://x:1"})) == [(Status.WARN, Cause.NETWORK_PROXY_MISCONFIGURED)]


async def test_the_wrong_scheme_says_which_is_right() -> None:
    async with listening(TUNNEL) as port:
        (check,) = await of({"HTTPS_PROXY": f"https://127.0.0.1:{port}"})
    assert found([check]) == [(Status.FAIL, Cause.NETWORK_PROXY_MISCONFIGURED)]
    assert check.diagnosis is not None
    assert any(f"http://127.0.0.1:{port}" in step for step in check.diagnosis.what_to_do)


async def test_both_spellings_should_say_the_same() -> None:
    async with listening(TUNNEL) as one, listening(TUNNEL) as other:
        same = await of({"HTTPS_PROXY": f"http://127.0.0.1:{one}", "https_proxy": f"http://127.0.0.1:{one}/"})
        assert found(same) == []
        differ = await of({"HTTPS_PROXY": f"http://127.0.0.1:{one}", "https_proxy": f"http://127.0.0.1:{other}"})
    assert found(differ) == [(Status.WARN, Cause.NETWORK_PROXY_MISCONFIGURED)]


async def test_a_proxy_of_socks_is_a_note() -> None:
    async with listening(b"\x05\x00") as port:
        (check,) = await of({"ALL_PROXY": f"socks5h://127.0.0.1:{port}"})
    assert check.status is Status.NOTE


async def test_a_proxy_for_http_alone_is_a_note() -> None:
    async with listening(TUNNEL) as port:
        assert Status.NOTE in {check.status for check in await of({"HTTP_PROXY": f"http://127.0.0.1:{port}"})}


PROXY = ProxyVariable(name="HTTPS_PROXY", scheme="http", place="proxy.corp.example:3128")


def test_no_proxy_that_covers_the_target_is_a_note() -> None:
    checks = judged(Variables(proxies=(PROXY,), covers_target=True))
    assert [one.status for one in checks] == [Status.OK, Status.NOTE]
    assert [one.status for one in judged(Variables(covers_target=True))] == [Status.OK]


@pytest.mark.parametrize(
    ("no_proxy", "covers"),
    [("api.openai.com", True), (".openai.com", True), ("*", True), ("localhost,corp.example", False), ("", False)],
)
async def test_which_hosts_no_proxy_covers(no_proxy: str, covers: bool) -> None:
    assert (await measured(a_case(environ={"NO_PROXY": no_proxy}))).covers_target is covers


async def test_local_models_need_localhost_in_no_proxy() -> None:
    async with listening(TUNNEL) as port:
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{port}"}
        lacking = await of(proxy | {"OLLAMA_HOST": "127.0.0.1:11434"})
        assert found(lacking) == [(Status.WARN, Cause.CLIENT_NO_PROXY_MISSING)]
        assert found(await of(proxy | {"OLLAMA_HOST": "127.0.0.1:11434", "no_proxy": "localhost"})) == []
        assert found(await of(proxy)) == []
        assert found(await of(proxy, flows=({"host": "localhost"},))) == [(Status.WARN, Cause.CLIENT_NO_PROXY_MISSING)]


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("OPENAI_BASE_URL", "https://api.openai.com/v1", ""),
        ("OPENAI_BASE_URL", "https://api.openai.com/v1/", ""),
        ("OPENAI_BASE_URL", "https://relay.example.com", ""),
        ("OPENAI_BASE_URL", "http://relay.example.com/v1", ""),
        ("OPENAI_BASE_URL", "https://api.openai.com", "no_base"),
        ("OPENAI_API_HOST", "https://api.openai.com", ""),
        ("OPENAI_BASE_URL", "http://api.openai.com/v1", "plain"),
        ("OPENAI_BASE_URL", " https://api.openai.com/v1", "spaces"),
        ("OPENAI_BASE_URL", "api.openai.com/v1", "unreadable"),
        ("OPENAI_BASE_URL", "https://api.openai.com:x/v1", "unreadable"),
        ("OPENAI_BASE_URL", "https://api.open ai.com/v1", "unreadable"),
        ("OPENAI_BASE_URL", "https://api.deepseek.com", "other_provider"),
        ("ANTHROPIC_BASE_URL", "https://api.anthropic.com", ""),
        ("ANTHROPIC_BASE_URL", "https://api.anthropic.com/v1", "doubled"),
        ("DEEPSEEK_API_BASE", "https://api.deepseek.com", ""),
        ("OPENROUTER_API_BASE", "https://openrouter.ai/api/v1", ""),
        ("OPENAI_BASE_URL", "http://localhost:11434/v1", ""),
    ],
)
def test_how_a_base_url_is_written(name: str, value: str, what: str) -> None:
    assert form_of(name, value) == what


async def test_a_base_url_of_this_machine_needs_somebody_there() -> None:
    port = closed_port()
    (gone,) = await of({"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/openai/v1"})
    assert found([gone]) == [(Status.FAIL, Cause.NETWORK_PROXY_UNREACHABLE)]
    (down,) = await of({"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"})
    assert found([down]) == [(Status.FAIL, Cause.NETWORK_TCP_REFUSED)]
    (others,) = await of({"MISTRAL_BASE_URL": f"http://127.0.0.1:{port}/v1"})
    assert others.status is Status.WARN
    async with listening(TUNNEL) as there:
        checks = await of({"OPENAI_BASE_URL": f"http://127.0.0.1:{there}/v1"})
        assert found(checks) == []


async def test_a_base_url_without_its_path_says_what_is_missing() -> None:
    (check,) = await of({"OPENAI_BASE_URL": "https://api.openai.com"})
    assert found([check]) == [(Status.FAIL, Cause.REQUEST_INVALID_URL)]
    assert "/v1" in said(check.told, "en")
    (check,) = await of({"OPENAI_BASE_URL": "https://api.deepseek.com"})
    assert check.status is Status.NOTE


def test_what_the_check_of_the_companys_proxy_reports_is_not_said_twice() -> None:
    case = a_case(via=parse_via("http://proxy.corp.example:3128"))
    refused = NetFailure(phase=Phase.CONNECT, code=NetCode.PROXY_UNREACHABLE, detail="refused", sent=False)
    tunnel = Tunnel(
        via="http://proxy.corp.example:3128",
        reach=Connects(address="10.0.0.3", port=3128, failures=(refused,)),
        connect=Answer(failure=refused),
    )
    down = ProxyVariable(name="HTTPS_PROXY", scheme="http", place="proxy.corp.example:3128", problem="refused")
    assert [one.status for one in judged(Variables(proxies=(down,)), tunnel, case=case)] == [Status.SKIPPED]
    assert [one.status for one in judged(Variables(proxies=(down,)), case=case)] == [Status.FAIL]
    stale = replace(down, problem="stale")
    assert [one.status for one in judged(Variables(proxies=(stale,)), tunnel, case=case)] == [Status.FAIL]
    (theirs,) = UPSTREAM_PROXY.judge(case, Done(tunnel, Variables(proxies=(stale,))))
    assert theirs.status is Status.SKIPPED


def test_nothing_of_a_credential_is_kept() -> None:
    via = "http://user:pa55word@proxy.corp.example:3128"
    assert "pa55word" not in " ".join(PROBE.touches(a_case(environ={"HTTPS_PROXY": via})))
