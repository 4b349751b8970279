"""Every golden scenario: the verdict, its evidence and the exit code of the real command in a world with that fault."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway._discover import discover
from tests.network.network import Network
from tests.network.scenario import Scenario

EVERY = [one for found in discover("tests.network.scenarios", "SCENARIOS", tuple).values() for one in found]
LONGEST_MS = 8_000
SECRETS = ("sk-good-golden", "s3cret-password")


def run(scenario: Scenario, directory: Path) -> tuple[dict[str, Any], int, Network]:
    """Have the doctor run in a scenario's world, and give its report, its exit code and the world that was."""
    config = directory / "whygate.toml"
    config.write_text(scenario.config)
    with Network(directory, *scenario.faults, **scenario.network) as network:
        made = network.squid(**scenario.proxy) if scenario.proxy is not None else None
        place = made.url if made is not None else ""
        login = made.url_with_login if made is not None else ""
        env = {name: value.replace("{proxy}", place).replace("{login}", login) for name, value in scenario.env.items()}
        command = [sys.executable, "-m", "gateway", "doctor", "--json", "--config", str(config)]
        command += ["--state", str(directory / "state"), *scenario.args]
        done = network.run(command, env=env)
        assert done.stdout.startswith("{"), done.stderr
        assert "Traceback" not in done.stderr
        for secret in SECRETS:
            assert secret not in done.stdout + done.stderr
        for server in scenario.untouched:
            assert not network.rows(server)
    return json.loads(done.stdout), done.returncode, network


def shown(report: dict[str, Any]) -> str:
    """Give a report in few lines, for a test that fails."""
    lines = [f"{one['status']:8}{one['name']:18}{one['cause'] or '':28}{one['told']}" for one in report["checks"]]
    return "\n".join([*lines, f"took {report['took_ms']:.0f} ms"])


@pytest.mark.parametrize("scenario", EVERY, ids=str)
def test_scenario(scenario: Scenario, tmp_path: Path) -> None:
    report, code, _ = run(scenario, tmp_path)
    seen = shown(report)
    assert code == scenario.exit_code, seen
    assert report["took_ms"] <= LONGEST_MS, seen
    assert report["healthy"] == (scenario.exit_code == 0), seen
    if scenario.exit_code == 0:
        assert report["most_likely"] is None, seen
    if not scenario.check:
        return
    found = [
        one for one in report["checks"] if one["name"] == scenario.check and one["about"].startswith(scenario.about)
    ]
    fitting = [one for one in found if (one["status"], one["cause"]) == (scenario.status, scenario.cause)]
    assert fitting, seen
    (check, *_) = fitting
    for words in scenario.told:
        assert words in check["told"], check["told"]
    if scenario.cause is None:
        return
    evidence = "\n".join(check["evidence"])
    for words in scenario.evidence:
        assert words in evidence, f"{words!r} is not in:\n{evidence}"
    excluded = {one["cause"] for one in check["ruled_out"]}
    assert set(scenario.ruled_out) <= excluded, excluded
    assert check["what_to_do"]
    if scenario.precision:
        assert check["precision"] == scenario.precision, evidence
    if scenario.vendor:
        assert scenario.vendor in check["vendor"], check["vendor"]
    if scenario.most_likely:
        assert report["most_likely"]["cause"] == scenario.cause, seen
