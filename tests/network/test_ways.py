"""The way to the servers and what stands on it: losses, holes, filters, login pages, the company's proxy."""

import json
import re
import sys
import time
from pathlib import Path

import pytest

from tests.network import faults, http_faults
from tests.network.asking import ask
from tests.network.network import Network
from tests.network.pages import PORTALS
from tests.network.test_network import OPENAI, curl, filled
from tests.tools import require_tool

STATUS = ("-o", "/dev/null", "-w", "%{http_code}")
MODELS = f"https://{OPENAI}/v1/models"
UPGRADE = ("-H", "connection: Upgrade", "-H", "upgrade: websocket", "-H", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
REALTIME = f"https://{OPENAI}/v1/realtime"


def test_a_full_queue_loses_every_second_syn_and_the_kernel_sends_it_again(tmp_path: Path) -> None:
    with Network(tmp_path, faults.slow_accept(OPENAI)) as network:
        [taken, others] = ask(network, ["connects", "172.66.0.243", 4], ["connects", "160.79.104.10", 4])
        assert max(taken) > 0.9
        assert max(others) < 0.5
        assert len(network.rows("172.66.0.243:443", "SYN")) > 4


def test_a_lossy_way_loses_a_share_of_the_packets(tmp_path: Path) -> None:
    with Network(tmp_path, faults.lossy(0.3, OPENAI)) as network:
        [taken] = ask(network, ["connects_at_once", "172.66.0.243", 40])
        late = [seconds for seconds in taken if seconds > 0.9]
        assert 2 <= len(late) <= 30
        assert len(network.rows("172.66.0.243:443", "SYN")) >= 40 + len(late)


def test_through_an_mtu_hole_small_requests_pass_and_large_ones_hang(tmp_path: Path) -> None:
    with Network(tmp_path, faults.mtu_hole(OPENAI)) as network:
        assert curl(network, *STATUS, MODELS) == (0, "401")
        began = time.monotonic()
        code, _ = curl(
            network, "-m", "1.5", "--data-binary", f"@{filled(tmp_path, 60_000)}", f"https://{OPENAI}/v1/responses"
        )
        assert (code, time.monotonic() - began > 1.4) == (28, True)
        assert (
            curl(network, *STATUS, "--data-binary", f"@{tmp_path}/60000.bin", "https://api.anthropic.com/v1/messages")[
                0
            ]
            == 0
        )


def test_a_server_that_stops_reading_lets_uploads_hang(tmp_path: Path) -> None:
    with Network(tmp_path, http_faults.unread_beyond(10_000, OPENAI)) as network:
        file = filled(tmp_path, 20_000_000)
        assert curl(network, "-m", "1", "--data-binary", f"@{file}", f"https://{OPENAI}/v1/responses")[0] == 28
        assert curl(network, *STATUS, MODELS) == (0, "401")


def test_connections_wait_dates_are_off_and_bodies_are_held_back(tmp_path: Path) -> None:
    pieces = [
        faults.latency(0.4, "github.com"),
        http_faults.clock_off(-86_400, OPENAI),
        http_faults.held_back(0.5, "chatgpt.com"),
        http_faults.no_answer("openai.com"),
        http_faults.reset_at_request("pypi.org", path="/simple"),
    ]
    times = ("-w", "%{time_connect} %{time_appconnect} %{time_starttransfer} %{time_total}", "-o", "/dev/null")
    with Network(tmp_path, *pieces) as network:
        connected, secured, *_ = map(float, curl(network, *times, "https://github.com/")[1].split())
        assert secured - connected > 0.35
        *_, first, last = map(float, curl(network, *times, "https://chatgpt.com/")[1].split())
        assert last - first > 0.45
        script = "import email.utils, sys, time; print(time.time() - email.utils.parsedate_to_datetime(sys.argv[1]).timestamp())"
        date = re.findall(r"(?m)^date: (.*)\r$", curl(network, "-i", MODELS)[1])[0]
        assert 86_390 < float(network.run([sys.executable, "-c", script, date]).stdout) < 86_460
        assert curl(network, "-m", "0.5", "https://openai.com/")[0] == 28
        assert curl(network, "https://pypi.org/simple/x")[0] in {52, 56}
        assert curl(network, "https://pypi.org/")[0] == 0


@pytest.mark.parametrize(
    ("kind", "expected"), [("accepted", "101"), ("refused", "403"), ("", "401"), ("swallowed", "000")]
)
def test_upgrades_are_taken_refused_or_swallowed(tmp_path: Path, kind: str, expected: str) -> None:
    pieces = [http_faults.upgrade(kind, OPENAI)] if kind else []  # type: ignore[arg-type]
    with Network(tmp_path, *pieces) as network:
        assert curl(network, "-m", "2", "--http1.1", *STATUS, *UPGRADE, REALTIME)[1].startswith(expected)
        assert curl(network, *STATUS, MODELS) == (0, "401")


def test_a_real_websocket_client_is_let_in(tmp_path: Path) -> None:
    script = f"""
from websockets.sync.client import connect
with connect("{REALTIME.replace("https", "wss")}", proxy=None) as socket:
    socket.send("hello")
    try:
        socket.recv(5)
    except Exception as exc:
        print(exc.rcvd.code)
"""
    with Network(tmp_path, http_faults.upgrade("accepted", OPENAI)) as network:
        done = network.run([sys.executable, "-c", script])
        assert done.stdout == "1000\n", done.stderr


def test_answers_can_be_those_of_others(tmp_path: Path) -> None:
    pieces = [
        http_faults.region(),
        http_faults.challenge("chatgpt.com"),
        http_faults.html_403("api.anthropic.com"),
        http_faults.server_error("generativelanguage.googleapis.com", 503, path="/v1beta"),
        http_faults.seen_from(loc="CN", warp="on", gateway="on"),
        *http_faults.blocked_inside_tls("github.com", "zscaler"),
    ]
    with Network(tmp_path, *pieces) as network:
        for url, marks in {
            MODELS: ["HTTP/1.1 403", "cf-ray", "unsupported_country"],
            "https://chatgpt.com/": ["HTTP/1.1 403", "cf-ray", "cf-mitigated: challenge", "Just a moment"],
            "https://generativelanguage.googleapis.com/v1beta/models": ["HTTP/1.1 503 "],
            "https://github.com/": ["HTTP/1.1 403", "Zscaler", "server: Zscaler/6.2"],
            "https://openai.com/cdn-cgi/trace": ["loc=CN\n", "warp=on", "gateway=on"],
        }.items():
            text = curl(network, "-i", url)[1]
            assert [mark for mark in marks if mark not in text] == []
        text = curl(network, "-i", "https://api.anthropic.com/v1/models")[1]
        assert "403 Forbidden" in text
        assert "cf-ray" not in text


@pytest.mark.parametrize("vendor", sorted(PORTALS))
def test_login_pages_take_port_80_and_https_does_not_get_through(tmp_path: Path, vendor: str) -> None:
    with Network(tmp_path, http_faults.portal(vendor, "refused")) as network:  # type: ignore[arg-type]
        status, headers, _ = PORTALS[vendor]
        for url in ("http://captive.apple.com/", "http://api.openai.com/"):
            code, text = curl(network, "-i", url)
            assert (code, int(text.split()[1])) == (0, status)
            assert headers.get("location", "HTTP") in text
        assert curl(network, MODELS)[0] == 7


def test_https_behind_a_login_page_can_vanish_or_be_signed_by_it(tmp_path: Path) -> None:
    with Network(tmp_path / "lost", http_faults.portal("page")) as network:
        assert ask(network, ["connect", "172.66.0.243"], ["connect", "1.1.1.1"]) == ["TimeoutError", "TimeoutError"]
    with Network(tmp_path / "signed", http_faults.portal("aruba", "resigned")) as network:
        assert "self-signed" in ask(network, ["tls", OPENAI])[0]["error"]


@pytest.mark.parametrize("vendor", ["umbrella", "pfblockerng", "zero", "cleanbrowsing"])
def test_a_dns_filter_leads_to_its_block_page(tmp_path: Path, vendor: str) -> None:
    marks = {"umbrella": "block.opendns.com", "pfblockerng": "pfBlockerNG DNSBL"}
    with Network(tmp_path, http_faults.sunk(OPENAI, vendor)) as network:
        patience = ("-m", "5" if vendor in marks else "1")
        code, text = curl(network, "-k", *patience, MODELS)
        assert (code, marks[vendor] in text) == (0, True) if vendor in marks else code in {7, 28}
        assert curl(network, MODELS, *patience)[0] == (60 if vendor in marks else code)
        assert curl(network, *STATUS, "https://api.anthropic.com/v1/models") == (0, "401")
        assert ask(network, ["dns_over", "post", "1.1.1.1", OPENAI])[0][1] == "A 172.66.0.243"


@pytest.mark.parametrize("provider", ["openai", "claude"])
def test_status_pages_show_what_they_are_told(tmp_path: Path, provider: str) -> None:
    url = f"https://status.{provider}.com/api/v2"

    def page(state: str, path: str) -> str:
        at = tmp_path / f"{state}-{path.replace('/', '-')}"
        pieces = [http_faults.status(provider, state)] if state else []  # type: ignore[arg-type]
        with Network(at, *pieces) as network:
            return curl(network, "-m", "1" if state == "slow" else "5", f"{url}/{path}")[1]

    assert json.loads(page("incident", "summary.json"))["incidents"][0]["status"] == "investigating"
    assert [part["status"] for part in json.loads(page("degraded", "components.json"))["components"]].count(
        "degraded_performance"
    ) == 1
    assert "incidents" not in json.loads(page("missing", "summary.json"))
    assert json.loads(page("unknown", "status.json"))["status"]["indicator"] == "purple"
    assert page("html", "summary.json").startswith("<!DOCTYPE html>")
    assert "timed out" in page("slow", "summary.json")
    assert "Unavailable" in page("error", "summary.json")
    unresolved = json.loads(page("", "incidents/unresolved.json"))
    assert unresolved == {"error": "not found"} if provider == "openai" else unresolved["incidents"] == []


def test_stun_answers_unless_datagrams_vanish(tmp_path: Path) -> None:
    with Network(tmp_path / "open") as network:
        answers = ask(
            network, ["stun", "161.115.160.10"], ["connect", "161.115.160.10", 7881], ["stun", "161.115.160.99"]
        )
        assert answers == ["203.0.113.7", "ok", "TimeoutError"]
    with Network(tmp_path / "shut", faults.udp_silence(port=3478)) as network:
        answers = ask(network, ["stun", "161.115.160.10"], ["connect", "161.115.160.10", 7881], ["system", OPENAI])
        assert answers[:2] == ["TimeoutError", "ok"]
        assert len(answers[2]) == 4


def test_the_companys_proxy_gets_out_where_nobody_else_does(tmp_path: Path) -> None:
    require_tool("squid", "apt-get install squid")
    pieces = faults.direct(faults.silence("*", port=443), faults.nxdomain("*"))
    with Network(tmp_path, *pieces) as network:
        proxy = network.squid(auth=True, deny=["chatgpt.com"])
        assert ask(network, ["connect", "172.66.0.243"], ["system", OPENAI]) == [
            "TimeoutError",
            ["Name or service not known"],
        ]
        assert curl(network, *STATUS, "-x", proxy.url_with_login, MODELS) == (0, "401")
        assert "407" in curl(network, "-x", proxy.url, MODELS)[1]
        assert "403" in curl(network, "-x", proxy.url_with_login, "https://chatgpt.com/")[1]
        assert (200, "CONNECT", f"{OPENAI}:443") in [row[:3] for row in proxy.asked_for]
        assert {row.more["from"] for row in network.rows(what="SYN") if row.server.endswith(":443")} == {
            "192.168.7.2",
            "10.0.0.3",
        }
        proxy.stop()
        assert curl(network, "-x", proxy.url_with_login, MODELS)[0] == 7


def test_the_companys_proxy_asks_nobody_for_a_password_unless_told(tmp_path: Path) -> None:
    require_tool("squid", "apt-get install squid")
    with Network(tmp_path, faults.refused("github.com")) as network:
        proxy = network.squid()
        assert curl(network, *STATUS, "-x", proxy.url, MODELS) == (0, "401")
        assert "503" in curl(network, "-x", proxy.url, "https://github.com/")[1]


def test_public_resolvers_can_be_cut_off_for_those_who_come_by_address(tmp_path: Path) -> None:
    pieces = [
        faults.reset_at_hello("cloudflare-dns.com"),
        http_faults.html_403("dns.google"),
        faults.silence("dns.quad9.net", port=443),
    ]
    with Network(tmp_path, *pieces) as network:
        answers = ask(network, ["tls", "1.1.1.1"], ["connect", "9.9.9.9"], ["dns_over", "udp", "9.9.9.9", OPENAI])
        assert answers == [
            {"error": "ConnectionResetError"},
            "TimeoutError",
            ["NOERROR", "A 172.66.0.243", "A 162.159.140.245"],
        ]
        assert curl(network, *STATUS, "https://8.8.8.8/dns-query") == (0, "403")


def test_files_and_interfaces_of_the_machine_are_as_told(tmp_path: Path) -> None:
    settings = {"etc_hosts": {OPENAI: "127.0.0.1"}, "interfaces": ["tun0"], "nameservers": ["8.8.8.8"]}
    with Network(tmp_path, **settings) as network:  # type: ignore[arg-type]
        assert ask(network, ["system", OPENAI], ["system", "pypi.org"]) == [
            ["127.0.0.1"],
            ["151.101.0.223", "2a04:4e42::223"],
        ]
        assert network.rows("10.53.0.1") == []
        assert "tun0: <" in network.run(["ip", "link"]).stdout


def test_who_comes_without_a_name_or_without_tls_is_told_so(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        assert "plain HTTP request" in curl(network, "http://api.openai.com:443/")[1]
        assert curl(network, "-o", "/dev/null", "https://172.66.0.243/")[0] == 35
        assert curl(network, *STATUS, "http://api.openai.com/") == (0, "301")
