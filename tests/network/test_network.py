"""The simulation itself: programs that know nothing of it find an internet there, and the faults that it was given."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.network import faults, namespace
from tests.network.asking import ask
from tests.network.network import Network

OPENAI = "api.openai.com"


def curl(network: Network, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    done = network.run(["curl", "-sS", "-m", "5", *arguments], env=env)
    return done.returncode, done.stdout or done.stderr


def filled(directory: Path, size_bytes: int) -> Path:
    file = directory / f"{size_bytes}.bin"
    file.write_bytes(b"x" * size_bytes)
    return file


def test_without_faults_the_internet_is_whole(tmp_path: Path) -> None:
    with Network(tmp_path, hosts=["more.example.org"]) as network:
        code, text = curl(network, "-i", f"https://{OPENAI}/v1/models")
        assert (code, text.split("\r\n", 1)[0]) == (0, "HTTP/1.1 401 Unauthorized")
        assert "cf-ray:" in text
        assert "server: cloudflare" in text
        code, text = curl(network, "-i", "-H", "authorization: Bearer sk-good-1", f"https://{OPENAI}/v1/models")
        assert "openai-organization:" in text
        assert json.loads(text.partition("\r\n\r\n")[2])["object"] == "list"
        assert "invalid_api_key" in curl(network, "-H", "authorization: Bearer sk-x", f"https://{OPENAI}/v1/models")[1]
        assert "authentication_error" in curl(network, "https://api.anthropic.com/v1/models")[1]
        assert "PERMISSION_DENIED" in curl(network, "https://generativelanguage.googleapis.com/v1beta/models")[1]
        assert "loc=DE" in curl(network, f"https://{OPENAI}/cdn-cgi/trace")[1]
        assert curl(network, "http://detectportal.firefox.com/success.txt") == (0, "success\n")
        assert curl(
            network, "-o", "/dev/null", "-w", "%{http_code}", "http://connectivitycheck.gstatic.com/generate_204"
        ) == (0, "204")
        assert "more.example.org" in curl(network, "https://more.example.org/")[1]
        summary = json.loads(curl(network, "https://status.claude.com/api/v2/summary.json")[1])
        assert summary["status"]["indicator"] == "none"
        assert (
            json.loads(curl(network, "https://status.openai.com/proxy/status.openai.com")[1])["summary"][
                "ongoing_incidents"
            ]
            == []
        )
        assert curl(network, "--data-binary", f"@{filled(tmp_path, 200_000)}", f"https://{OPENAI}/v1/responses")[0] == 0
        row = network.rows(OPENAI, "POST /v1/responses")[0]
        assert row.more["body_bytes"] == 200_000


def test_resolvers_tell_the_truth_over_udp_tcp_and_https(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        right = ["NOERROR", "A 172.66.0.243", "A 162.159.140.245"]
        ways = [
            ("udp", "10.53.0.1"),
            ("tcp", "10.53.0.1"),
            ("udp", "8.8.8.8"),
            ("post", "1.1.1.1"),
            ("get", "9.9.9.9"),
            ("post", "dns.google"),
        ]
        answers = ask(
            network,
            *(["dns_over", *way, OPENAI] for way in ways),
            ["dns_over", "udp", "10.53.0.1", "auth.openai.com"],
            ["dns_over", "udp", "10.53.0.1", "no-such-name.example.com"],
            ["dns_over", "udp", "10.53.0.1", "github.com", "AAAA"],
            ["system", OPENAI],
        )
        assert answers[: len(ways)] == [right] * len(ways)
        assert answers[len(ways) :] == [
            ["NOERROR", "CNAME auth.openai.com.cdn.cloudflare.net.", "A 104.18.41.241"],
            ["NXDOMAIN"],
            ["NOERROR"],
            ["162.159.140.245", "172.66.0.243", "2606:4700:7::f5", "2a06:98c1:58::f5"],
        ]
        transports = [row.more["transport"] for row in network.rows(what=f"A {OPENAI}")]
        assert transports[:6] == ["udp", "tcp", "udp", "doh", "doh", "doh"]


def test_resolvers_fail_and_lie_as_they_are_told(tmp_path: Path) -> None:
    pieces = [
        faults.nxdomain("auth.openai.com.cdn.cloudflare.net"),
        faults.nodata("chatgpt.com"),
        faults.servfail("claude.ai"),
        faults.dns_refused("pypi.org"),
        faults.dns_silent("github.com"),
        faults.dns_slow(0.3, "openai.com"),
        faults.dns_answers("api.anthropic.com", "10.10.34.34", "d0::11"),
        faults.truncated("example.com"),
        faults.poisoned(OPENAI, "31.13.94.36", "2001::1"),
    ]
    at = "10.53.0.1"
    with Network(tmp_path, *pieces) as network:
        began = time.monotonic()
        names = [
            "auth.openai.com",
            "chatgpt.com",
            "claude.ai",
            "pypi.org",
            "github.com",
            "openai.com",
            "api.anthropic.com",
            "example.com",
        ]
        answers = ask(
            network,
            *(["dns_over", "udp", at, name] for name in names),
            ["dns_over", "tcp", at, "example.com"],
            ["dns_over", "udp", at, OPENAI, "AAAA"],
            ["udp_all", at, OPENAI],
            ["udp_all", "8.8.8.8", OPENAI],
            ["dns_over", "post", "8.8.8.8", "api.anthropic.com"],
        )
        assert time.monotonic() - began > 0.3
        assert answers == [
            ["NXDOMAIN", "CNAME auth.openai.com.cdn.cloudflare.net."],
            ["NOERROR"],
            ["SERVFAIL"],
            ["REFUSED"],
            ["Timeout"],
            ["NOERROR", "A 104.18.33.45"],
            ["NOERROR", "A 10.10.34.34"],
            ["NOERROR", "TC"],
            ["NOERROR", "A 104.18.26.120"],
            ["NOERROR", "AAAA 2001::1"],
            ["31.13.94.36", "172.66.0.243", "162.159.140.245"],
            ["31.13.94.36", "172.66.0.243", "162.159.140.245"],
            ["NOERROR", "A 160.79.104.10"],
        ]


def test_made_up_addresses_of_vpn_clients_and_of_ipv6_networks_work(tmp_path: Path) -> None:
    with Network(tmp_path / "vpn", faults.fake_ip()) as network:
        [addresses, shaken] = ask(network, ["system", OPENAI], ["tls", OPENAI])
        assert addresses[0].startswith("198.18.")
        assert shaken["issuer"] == "WE1"
        assert "401" in curl(network, "-o", "/dev/null", "-w", "%{http_code}", f"https://{OPENAI}/v1/models")[1]
    with Network(tmp_path / "six", faults.nat64(), ipv4="none") as network:
        [addresses, shaken, four] = ask(
            network, ["system", "github.com"], ["tls", "github.com"], ["connect", "140.82.121.4"]
        )
        assert addresses[-1] == "64:ff9b::8c52:7904"
        assert shaken["issuer"] == "WE1"
        assert four == "Network is unreachable"


def test_addresses_refuse_vanish_or_have_no_route(tmp_path: Path) -> None:
    pieces = [
        faults.refused("api.anthropic.com", port=443),
        faults.silence("8.8.8.8"),
        faults.silence("chatgpt.livekit.cloud", port=7881),
        faults.unreachable("140.82.121.4"),
    ]
    with Network(tmp_path, *pieces) as network:
        answers = ask(
            network,
            ["connect", "160.79.104.10"],
            ["connect", "160.79.104.10", 80],
            ["connect", "8.8.8.8"],
            ["dns_over", "udp", "8.8.8.8", OPENAI],
            ["connect", "161.115.160.10", 7881],
            ["connect", "161.115.160.10"],
            ["connect", "140.82.121.4"],
            ["connect", "93.184.216.34"],
            ["connect", "2606:2800::1"],
        )
        assert answers == [
            "ConnectionRefusedError", "ok", "TimeoutError", ["Timeout"], "TimeoutError", "ok", "No route to host",
            "TimeoutError", "TimeoutError",
        ]  # fmt: skip
        assert network.rows("93.184.216.34:443", "SYN")
        assert network.rows("2606:2800::1", "SYN")
        assert network.rows("8.8.8.8:53", "UDP")
        assert network.rows("172.66.0.243") == []


@pytest.mark.parametrize(
    ("settings", "four", "six"),
    [
        ({"ipv6": "dead"}, "ok", "TimeoutError"),
        ({"ipv6": "none"}, "ok", "Network is unreachable"),
        ({"offline": True}, "Network is unreachable", "Network is unreachable"),
    ],
)
def test_address_families_can_be_dead_or_missing(tmp_path: Path, settings: dict[str, str], four: str, six: str) -> None:
    with Network(tmp_path, **settings) as network:  # type: ignore[arg-type]
        assert ask(network, ["connect", "172.66.0.243"], ["connect", "2606:4700:7::f5"]) == [four, six]


def test_handshakes_fail_in_every_way_for_one_name_and_work_for_its_neighbours(tmp_path: Path) -> None:
    pieces = [
        faults.reset_at_hello(OPENAI),
        faults.eof_at_hello("openai.com"),
        faults.silence_at_hello("platform.openai.com"),
        faults.alert("chatgpt.com"),
        faults.only_tls10("github.com"),
        faults.certificate("expired", "pypi.org"),
        faults.certificate("future", "claude.ai"),
        faults.certificate("self-signed", "example.com"),
        faults.certificate("incomplete", "www.google.com"),
        faults.certificate_for("www.apple.com", "www.cloudflare.com"),
    ]
    with Network(tmp_path, *pieces) as network:
        names = [
            OPENAI, "openai.com", "platform.openai.com", "chatgpt.com", "github.com", "pypi.org", "claude.ai",
            "example.com", "www.google.com", "www.cloudflare.com",
        ]  # fmt: skip
        answers = ask(
            network,
            *(["tls", name] for name in names),
            ["tls", "ws.chatgpt.com", "172.66.0.243"],
            ["tls", "not-of-cloudflare.example.com", "172.66.0.243"],
            ["tls", "www.google.com", "", False],
        )
        found = [answer.get("error", answer.get("issuer")) for answer in answers]
        assert found[4] in {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"}
        assert "Hostname mismatch" in found.pop(9)
        assert found[:4] + found[5:] == [
            "ConnectionResetError", "UNEXPECTED_EOF_WHILE_READING", "TimeoutError", "SSLV3_ALERT_HANDSHAKE_FAILURE",
            "certificate has expired", "certificate is not yet valid", "self-signed certificate",
            "unable to get local issuer certificate", "WE1", "SSLV3_ALERT_HANDSHAKE_FAILURE", "",
        ]  # fmt: skip
        assert network.rows("172.66.0.243", "hello ws.chatgpt.com")
        old = ["openssl", "s_client", "-connect", "github.com:443", "-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"]
        assert "TLSv1" in network.run(old).stdout


def test_inspection_shows_the_products_own_issuer(tmp_path: Path) -> None:
    pieces = [
        faults.resigned("zscaler", OPENAI, trusted=True),
        faults.resigned("fortigate", "github.com", trusted=False),
    ]
    with Network(tmp_path, *pieces) as network:
        trusted, distrusted, other = ask(network, ["tls", OPENAI], ["tls", "github.com"], ["tls", "pypi.org"])
        assert trusted["issuer"] == "Zscaler Intermediate Root CA (zscloud.net)"
        assert distrusted["error"] == "self-signed certificate in certificate chain"
        assert other["issuer"] == "WE1"
        seen = network.run(["openssl", "s_client", "-connect", "github.com:443", "-servername", "github.com"]).stdout
        assert "O = Fortinet" in seen


def test_nothing_is_left_behind_and_two_worlds_do_not_meet(tmp_path: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    with (
        Network(tmp_path / "one", faults.refused(OPENAI)) as one,
        Network(tmp_path / "two") as two,
        one.popen(["sleep", "60"]) as sleeping,
    ):
        inner = psutil.Process(sleeping.pid).children()
        assert ask(one, ["connect", "172.66.0.243"]) == ["ConnectionRefusedError"]
        assert ask(two, ["connect", "172.66.0.243"]) == ["ok"]
        pids = [one.pid, two.pid, *(child.pid for child in inner)]
        spaces = {_namespace(pid) for pid in (one.pid, two.pid)}
        assert len(spaces | {_namespace(os.getpid())}) == 3
        with pytest.raises(subprocess.TimeoutExpired):
            one.run(["sleep", "60"], timeout=0.2)
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert Path("/proc/self/mounts").read_text() == mounts
    left = [process for process in psutil.process_iter() if _namespace(process.pid) in spaces]
    assert left == []


def _namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def test_a_world_costs_well_under_a_second_of_the_processor(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        assert sum(psutil.Process(network.pid).cpu_times()[:2]) < 1.0


def test_programs_inside_see_no_proxy_and_no_key_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://10.1.1.1:3128")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with Network(tmp_path) as network:
        done = network.run([sys.executable, "-c", "import os; print(dict(os.environ))"], env={"X": "1"})
        assert "10.1.1.1" not in done.stdout
        assert "sk-mine" not in done.stdout
        assert "'X': '1'" in done.stdout


def test_the_gateway_itself_serves_in_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    start = [
        sys.executable, "-m", "gateway", "start", "--state", str(state),
        "--listen", "127.0.0.1:9000", "--page", "127.0.0.1:9001",
    ]  # fmt: skip
    with (
        (tmp_path / "log").open("w") as log,
        Network(tmp_path, faults.reset_at_hello("api.anthropic.com")) as network,
        network.popen(start, stdout=log, stderr=log),
    ):
        deadline = time.monotonic() + 20
        while ask(network, ["connect", "127.0.0.1", 9001]) != ["ok"] and time.monotonic() < deadline:
            pass
        through = ("-m", "20", "-x", "http://127.0.0.1:9000", "--cacert", str(state / "ca.pem"))
        key = ("-H", "authorization: Bearer sk-good-1")
        assert "gpt-4o-mini" in curl(network, *through, *key, f"https://{OPENAI}/v1/models")[1]
        text = curl(network, *through, "-H", "x-api-key: sk-ant-1", "https://api.anthropic.com/v1/models")[1]
        assert "connection_reset" in text
        assert network.rows(OPENAI, "GET /v1/models")[0].more["headers"]["authorization"] == "Bearer sk-good-1"
        assert network.rows("api.anthropic.com", "GET") == []


@pytest.mark.parametrize(("everything", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_where_no_namespace_can_be_made_a_test_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, everything: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("WHYGATE_TEST_REQUIRE_ALL", everything)
    monkeypatch.setattr(namespace, "_missing", lambda: "no network namespace can be made here: not root")
    with pytest.raises(outcome, match="not root"):
        Network(tmp_path)
