"""A call fails in the simulated internet: what the gateway finds out before it answers, and whom it asked for that."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.network import faults, http_faults
from tests.network.faults import Pieces
from tests.network.network import Network

OPENAI, CHATGPT = "api.openai.com", "chatgpt.com"
PROXY = "http://127.0.0.1:9000"
THIRD = ("1.1.1.1", "8.8.8.8", "9.9.9.9", "captive.apple.com", "www.msftconnecttest.com", "detectportal.firefox.com")
START_SECONDS = 20.0


class Gateway:
    """One that runs in a network."""

    def __init__(self, network: Network, state: Path) -> None:
        self.network, self._state = network, state

    def _curl(self, *words: str) -> tuple[int, str]:
        command = ["curl", "-sS", "-m", "25", "-w", "\\n%{http_code} %{http_connect}", *words]
        done = self.network.run(command, timeout=30)
        body, _, status = done.stdout.rpartition("\n")
        answered, connected = status.split()
        return int(answered) or int(connected), body or done.stderr

    def call(self, path: str = "/v1/models") -> dict[str, Any]:
        """Ask OpenAI through it, and give its row."""
        ca = str(self._state / "ca.pem")
        key = "authorization: Bearer sk-good-1"
        self._curl("-x", PROXY, "--cacert", ca, "-H", key, f"https://{OPENAI}{path}")
        return self.row()

    def tunnel(self, host: str) -> tuple[int, str]:
        """Ask a host that is no provider's through it."""
        return self._curl("-p", "-x", PROXY, f"https://{host}/")

    def row(self) -> dict[str, Any]:
        """Give the latest row."""
        command = [sys.executable, "-m", "gateway", "flows", "--state", str(self._state), "--json", "--limit", "1"]
        (line, *_) = self.network.run(command).stdout.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    def page(self, path: str, *words: str) -> dict[str, Any]:
        """Ask the page's API."""
        token = json.loads((self._state / "runtime.json").read_text())["token"]
        bearer = ("-H", f"authorization: Bearer {token}", "-H", "content-type: application/json")
        done = self.network.run(["curl", "-sS", *bearer, *words, f"http://127.0.0.1:9001{path}"])
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def connections(self) -> int:
        """Count what was sent to begin a connection to any server's port 443."""
        return sum(one.server.endswith(":443") for one in self.network.rows(what="SYN"))

    def asked_third(self) -> list[str]:
        """Give which third parties were sent anything."""
        return [place for place in THIRD if self.network.rows(place)]


@contextmanager
def running(directory: Path, *pieces: Pieces, config: str = "", **more: Any) -> Iterator[Gateway]:
    """Start a gateway in a network of its own."""
    state, settings = directory / "state", directory / "whygate.toml"
    settings.write_text(config)
    start = [sys.executable, "-m", "gateway", "start", "--state", str(state), "--config", str(settings)]
    start += ["--listen", "127.0.0.1:9000", "--page", "127.0.0.1:9001"]
    with (
        (directory / "log").open("w") as log,
        Network(directory, *pieces, **more) as network,
        network.popen(start, stdout=log, stderr=log),
    ):
        deadline = time.monotonic() + START_SECONDS
        ready = ["curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:9001/readyz"]
        while network.run(ready).returncode and time.monotonic() < deadline:
            pass
        yield Gateway(network, state)


@pytest.mark.parametrize(
    ("pieces", "cause"),
    [
        ((faults.refused(OPENAI),), "network.tcp_refused"),
        ((faults.nxdomain(OPENAI),), "network.dns_failure"),
        ((faults.silence(OPENAI),), "network.tcp_timeout"),
        ((faults.dns_answers(OPENAI, "146.112.61.106"),), "network.dns_tampered"),
        ((faults.certificate("expired", OPENAI),), "network.tls_certificate"),
        ((faults.resigned("zscaler", OPENAI, trusted=False),), "network.tls_inspection"),
    ],
    ids=["refused", "no-name", "silence", "sinkhole", "expired", "inspected"],
)
def test_the_app_hears_a_confirmed_verdict_and_no_third_party_was_asked(
    tmp_path: Path, pieces: tuple[Pieces, ...], cause: str
) -> None:
    with running(tmp_path, *pieces) as gateway:
        row = gateway.call()
        assert (row["cause"], row["precision"]) == (cause, "confirmed"), row["diagnosis"]["evidence"]
        assert gateway.asked_third() == []


def test_what_was_found_is_shared_for_a_minute(tmp_path: Path) -> None:
    with running(tmp_path, faults.refused(OPENAI), config="[retry]\nmax_attempts = 1\n") as gateway:
        gateway.call()
        before = gateway.connections()
        for _ in range(3):
            assert gateway.call()["precision"] == "confirmed"
        assert gateway.connections() <= before + 3 * 8, "each call's own attempt at each address, and no look"


def test_an_incident_on_the_status_page_explains_the_calls_that_fail_meanwhile(tmp_path: Path) -> None:
    pieces = (http_faults.server_error(OPENAI), http_faults.status("openai", "incident"))
    with running(tmp_path, *pieces) as gateway:
        row = gateway.call()
        assert (row["cause"], row["precision"]) == ("service.incident", "confirmed"), row["diagnosis"]["evidence"]
        assert gateway.call()["cause"] == "service.incident"
        asked = gateway.network.rows("status.openai.com", "GET")
        assert 1 <= len(asked) <= 4, "once a minute at most"
        assert gateway.asked_third() == []


def test_nobody_is_asked_while_calls_go_well(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        assert gateway.call()["status"] == 200
        assert gateway.network.rows("status.openai.com") == []
        assert gateway.asked_third() == []


def test_probes_may_be_turned_off(tmp_path: Path) -> None:
    with running(
        tmp_path, faults.dns_answers(OPENAI, "146.112.61.106"), config='[diagnose]\nprobes = "off"\n'
    ) as gateway:
        row = gateway.call()
        assert row["cause"].startswith("network.")
        assert len(gateway.network.rows("146.112.61.106")) <= 12


def test_a_tunnel_that_fails_gets_the_same(tmp_path: Path) -> None:
    with running(tmp_path, faults.dns_answers(CHATGPT, "146.112.61.106"), faults.silence("146.112.61.106")) as gateway:
        _, told = gateway.tunnel(CHATGPT)
        row = gateway.row()
        assert (row["kind"], row["cause"], row["precision"]) == ("tunnel", "network.dns_tampered", "inferred"), told
        assert any("Cisco Umbrella" in line for line in row["diagnosis"]["evidence"])
        assert gateway.asked_third() == []


def test_the_page_has_the_doctor_run_and_its_report_is_left_for_a_bundle(tmp_path: Path) -> None:
    with running(tmp_path, faults.reset_at_hello(OPENAI)) as gateway:
        assert gateway.page("/api/doctor/run", "-d", "{}")["running"] is True
        deadline = time.monotonic() + 20
        while (told := gateway.page("/api/doctor"))["running"] and time.monotonic() < deadline:
            time.sleep(0.1)  # noqa: TID251 - a command is asked again
        report = told["report"]
        assert report["most_likely"]["cause"] == "network.connection_reset"
        assert report["target"] == OPENAI
        assert len(told["measured"]) == told["probes"]
        refused = gateway.page("/api/doctor/run", "-d", '{"host": "intranet.example"}')
        assert refused["error"]["code"] == "bad_body", "the page is no way to have any host contacted"
    left = json.loads((tmp_path / "state" / "doctor.json").read_text())
    assert left["most_likely"]["cause"] == "network.connection_reset"


def test_an_incident_stands_in_the_overview(tmp_path: Path) -> None:
    pieces = (http_faults.server_error(OPENAI), http_faults.status("openai", "incident"))
    with running(tmp_path, *pieces) as gateway:
        gateway.call()
        (host,) = gateway.page("/api/overview")["hosts"]
        assert host["status_said"] == "affected"
        assert host["incident"]
