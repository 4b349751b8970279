"""`whygate doctor` as a person types it, in the simulated internet: its forms, its exit codes, and what it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network import faults, http_faults
from tests.network.network import Network

OPENAI = "api.openai.com"
KEY = {"OPENAI_API_KEY": "sk-good-golden-0123456789abcdef"}


class Typed:
    """A terminal in a network."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network, self.state = network, directory / "state"

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", *words, "--state", str(self.state)]
        done = self.network.run(command, env=KEY | {"COLUMNS": "90"} | (env or {}))
        assert "Traceback" not in done.stderr
        assert KEY["OPENAI_API_KEY"] not in done.stdout + done.stderr
        return done


def test_all_is_well_in_one_screen_and_with_exit_code_0(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        done = Typed(network, tmp_path)("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(f"✓ All is well on the way to {OPENAI}")
    assert len(done.stdout.splitlines()) < 50
    assert "the key in OPENAI_API_KEY is accepted" in done.stdout


def test_it_says_first_whom_it_contacts_and_contacts_nobody_else(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        done = Typed(network, tmp_path)("doctor")
        announced = done.stderr
        asked = {one.server.rpartition(":")[0] for one in network.asked if one.what.startswith(("GET", "POST", "HEAD"))}
    assert "No tokens are spent" in announced
    assert "with the key of OPENAI_API_KEY for api.openai.com alone" in announced
    names = {"one.one.one.one", "cloudflare-dns.com", "dns.google", "dns.quad9.net"}
    assert {name for name in asked - names if name and name not in announced} == set()


def test_a_trouble_stands_on_top_with_what_to_do(tmp_path: Path) -> None:
    with Network(tmp_path, faults.reset_at_hello(OPENAI)) as network:
        typed = Typed(network, tmp_path)
        whole, summary = typed("doctor"), typed("doctor", "--summary")
        chinese = typed("doctor", "--summary", "--lang", "zh")
    assert (whole.returncode, summary.returncode) == (1, 1)
    for done in (whole, summary):
        assert "network.connection_reset" in done.stdout.split("Network")[0] + summary.stdout
    assert len(summary.stdout.splitlines()) < 20
    assert "network.connection_reset" in chinese.stdout
    assert chinese.stdout != summary.stdout


def test_the_letter_names_hosts_ports_and_what_was_found(tmp_path: Path) -> None:
    with Network(tmp_path, http_faults.sunk(OPENAI, "umbrella")) as network:
        done = Typed(network, tmp_path)("doctor", "--for-it")
    for words in ("Subject:", OPENAI, "443", "Cisco Umbrella", "network.dns_tampered"):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 78


def test_the_office_and_a_hotspot_are_held_against_each_other(tmp_path: Path) -> None:
    office, home = tmp_path / "office", tmp_path / "home"
    office.mkdir()
    home.mkdir()
    with Network(office, faults.reset_at_hello(OPENAI)) as network:
        bad = Typed(network, office)("doctor", "--json")
    (tmp_path / "office.json").write_text(bad.stdout)
    with Network(home) as network:
        good = Typed(network, home)("doctor", "--json")
        compared = Typed(network, home)("doctor", "--compare", str(tmp_path / "office.json"))
    (tmp_path / "home.json").write_text(good.stdout)
    assert compared.returncode == 0
    assert "only there" in compared.stdout
    again = tmp_path / "again"
    again.mkdir()
    with Network(again, faults.reset_at_hello(OPENAI)) as network:
        answer = Typed(network, again)("doctor", "--compare", str(tmp_path / "home.json"))
    assert answer.returncode == 1
    assert "it is the doing of this network or this machine" in " ".join(answer.stdout.split())


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"shape": 99}', '{"shape": 1, "checks": 7}', ""])
def test_a_file_that_is_no_report_is_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with Network(tmp_path, offline=True) as network:
        done = Typed(network, tmp_path)("doctor", "--compare", str(tmp_path / "other.json"))
        missing = Typed(network, tmp_path)("doctor", "--compare", str(tmp_path / "nowhere.json"))
    assert (done.returncode, missing.returncode) == (2, 2)
    assert "other.json" in done.stderr
    assert "whygate doctor --json" in done.stderr


@pytest.mark.parametrize("host", ["no host", "-x", "api..", "http://", "a:99999", "user@host:x"])
def test_what_is_no_host_is_refused_in_words(tmp_path: Path, host: str) -> None:
    with Network(tmp_path, offline=True) as network:
        done = Typed(network, tmp_path)("doctor", f"--host={host}")
    assert done.returncode == 2
    assert "api.openai.com" in done.stderr


def test_two_forms_at_once_are_refused(tmp_path: Path) -> None:
    with Network(tmp_path, offline=True) as network:
        assert Typed(network, tmp_path)("doctor", "--json", "--for-it").returncode == 2


def test_mending_touches_what_is_ours_and_says_so(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        typed = Typed(network, tmp_path)
        typed("ca", "show")
        typed.state.mkdir(exist_ok=True)
        typed.state.chmod(0o755)
        done = typed("doctor", "--fix", "--summary")
        again = typed("doctor", "--fix", "--summary")
    assert "Closed" in done.stderr
    assert typed.state.stat().st_mode & 0o777 == 0o700
    assert "Nothing of whygate's own needs mending" in again.stderr


def test_the_last_report_is_left_for_a_bundle(tmp_path: Path) -> None:
    with Network(tmp_path, faults.reset_at_hello(OPENAI)) as network:
        typed = Typed(network, tmp_path)
        typed.state.mkdir(mode=0o700)
        typed("doctor", "--summary")
    kept = json.loads((typed.state / "doctor.json").read_text())
    assert kept["most_likely"]["cause"] == "network.connection_reset"
    assert (typed.state / "doctor.json").stat().st_mode & 0o777 == 0o600
