"""``run --check``: the runtime of a command is recognised, and a canary tells whether its calls would come through."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.canary.runtimes import Canary, canary_for
from gateway.cli.check import check
from gateway.cli.screen import UserError
from tests.gateway.cli.conftest import PageApi, Whygate
from tests.running import CLEAN, ROOT, GatewayProcess
from tests.tools import require_tool

NOWHERE = "https://bypassed.invalid/v1/models"
"""Known to the gateway of these tests and to no name server: who goes past the gateway gets nowhere."""
CERTIFICATE = Path("/state/ca.pem")


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """Give an environment with programs that do nothing, and two scripts."""
    for name in ("python3.13", "node", "npx", "deno", "bun", "ruby", "php", "java", "go", "curl", "uv", "poetry"):
        executable(tmp_path / name, "#!/bin/sh\n")
    executable(tmp_path / "pytest", f"#!{tmp_path}/python3.13\n")
    executable(tmp_path / "prettier", "#!/usr/bin/env node\n")
    executable(tmp_path / "binary", "\x7fELF")
    return {"PATH": str(tmp_path)}


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def placed(command: str, env: dict[str, str]) -> tuple[str, str] | None:
    """Give runtime and words of the canary, without folders."""
    canary = canary_for(shlex.split(command), env)
    if canary is None:
        return None
    return canary.runtime, " ".join(Path(word).name if word.startswith("/") else word for word in canary.before)


@pytest.mark.parametrize(
    ("command", "runtime", "instead"),
    [
        ("python3.13 -m app --key sk", "python", "python3.13 canary.py"),
        ("pytest -q", "python", "python3.13 canary.py"),
        ("uv run python app.py", "python", "uv run python canary.py"),
        ("uv run --with requests -p 3.12 app.py", "python", "uv run --with requests -p 3.12 python canary.py"),
        ("uv run --env-file=.env -m app", "python", "uv run --env-file=.env python canary.py"),
        ("poetry run uvicorn app:app", "python", "poetry run python canary.py"),
        ("uv run node app.js", "node", "uv run node canary.mjs"),
        ("env A=1 B=2 node app.js", "node", "env A=1 B=2 node canary.mjs"),
        ("node --use-env-proxy -r ./agent.js app.js -r x", "node", "node --use-env-proxy -r ./agent.js canary.mjs"),
        ("node -e 1", "node", "node canary.mjs"),
        ("npx tsx app.ts", "node", "node canary.mjs"),
        ("prettier .", "node", "node canary.mjs"),
        ("deno run -A app.ts", "deno", "deno run --allow-all --no-lock canary.mjs"),
        ("bun app.ts", "bun", "bun run canary.mjs"),
        ("ruby app.rb", "ruby", "ruby canary.rb"),
        ("php app.php", "php", "php canary.php"),
        ("java -Dhttp.x=1 -jar app.jar", "java", "java -Dhttp.x=1 Canary.java"),
        ("go run .", "go", "go run canary.go"),
        ("curl https://api.openai.com", "curl", "sh curl.sh curl"),
    ],
)
def test_the_canary_runs_in_the_runtime_of_the_command(
    programs: dict[str, str], command: str, runtime: str, instead: str
) -> None:
    """With what comes before it, and without what is the program's own."""
    assert placed(command, programs) == (runtime, instead)


@pytest.mark.parametrize("command", ["binary", "sh -c python3.13", "nothing-like-it", "env A=1", "uv sync"])
def test_what_is_not_recognised_is_not_guessed(programs: dict[str, str], command: str) -> None:
    assert placed(command, programs) is None


@pytest.mark.parametrize(
    "file", ["canary.py", "canary.mjs", "canary.rb", "canary.php", "Canary.java", "canary.go", "curl.sh"]
)
def test_every_canary_is_there(programs: dict[str, str], file: str) -> None:
    found = (canary_for((name, "x"), programs) for name in ("python3.13", "node", "ruby", "php", "java", "go", "curl"))
    words = [word for canary in found if canary for word in canary.before]
    assert [word for word in words if word.endswith("/" + file) and Path(word).is_file()]


def says(tmp_path: Path, *means: dict[str, object], noise: str = "") -> dict[str, str]:
    """Make a node that prints what a canary would have found; TOKEN stands for the canary's."""
    line = json.dumps({"whygate_canary": "Node.js 20.1.0", "means": means})
    script = f"#!/bin/sh\n{noise}\ncat <<E | /bin/sed s/TOKEN/$2/g\nhello\n{line}\nbye\nE\n"
    executable(tmp_path / "node", script)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def entry(name: str, way: str, **found: object) -> dict[str, object]:
    return {"name": name, "way": way, **found}


def test_what_comes_back_with_our_word_came_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = says(
        tmp_path,
        entry("fetch", "proxy", status=204, echo="TOKEN"),
        entry("fetch", "base_url", status=204, echo="TOKEN"),
    )
    assert check(["node", "app.js"], env, "http://127.0.0.1:1", CERTIFICATE) == 0
    out = capsys.readouterr().out
    assert "Checked Node.js 20.1.0" in out
    assert "  fetch               yes         yes\n" in out
    assert out.endswith("\nCalls come through the gateway.\n")


def test_another_answer_and_another_word_went_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what to do is said once."""
    env = says(
        tmp_path,
        entry("fetch", "proxy", status=401, echo=""),
        entry("node:https", "proxy", status=204, echo="guessed"),
        entry("node:https", "base_url", status=204, echo="TOKEN"),
    )
    assert check(["node", "app.js"], env, "", CERTIFICATE) == 1
    out = capsys.readouterr().out
    assert "  fetch               no          -\n" in out
    assert "fetch by proxy: past the gateway (someone else answered, with status 401)" in out
    assert out.count("Node.js reads proxy variables from 22.21 and 24.0 on") == 1
    assert out.endswith("\nCalls by fetch would go past the gateway.\n")
    assert max(len(line) for line in out.splitlines()) <= 80 or str(tmp_path) in out


def test_a_refused_certificate_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = says(
        tmp_path,
        entry("fetch", "proxy", error="SELF_SIGNED_CERT_IN_CHAIN: self-signed certificate in certificate chain"),
        entry("fetch", "base_url", status=204, echo="TOKEN"),
    )
    assert check(["node"], env, "http://127.0.0.1:1", CERTIFICATE) == 0
    out = capsys.readouterr().out
    assert "  fetch               no trust    yes\n" in out
    assert str(CERTIFICATE) in out
    assert out.endswith("\nCalls come through; those by fetch only with the base URL.\n")


def test_a_gateway_that_knows_no_canary_passed_it_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An older one marks the provider's answer."""
    env = says(tmp_path, entry("fetch", "proxy", status=401, echo="", flow="01a2"))
    assert check(["node"], env, "", CERTIFICATE) == 0
    assert "  fetch               yes         -\n" in capsys.readouterr().out


def test_a_canary_that_cannot_run_is_told_with_its_words(tmp_path: Path) -> None:
    env = says(tmp_path, noise="echo 'Error: Cannot find module agent.js\x1b[0m' >&2; exec false")
    with pytest.raises(UserError, match="The check could not run") as told:
        check(["node"], env, "", CERTIFICATE)
    assert told.value.where == "Error: Cannot find module agent.js [0m"


def test_an_unknown_runtime_is_told_what_to_name(whygate: Whygate, page_api: PageApi) -> None:
    """Nothing of the command runs."""
    done = whygate("run", "--check", "--", "sh", "-c", "echo ran")
    assert (done.returncode, done.stdout) == (2, "")
    assert "whygate run --check -- python" in done.stderr
    assert page_api.asked == []


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Run a real gateway that knows `NOWHERE`."""
    config = '[[providers]]\nname = "openai"\nhosts = ["bypassed.invalid"]\n'
    running = GatewayProcess(tmp_path_factory.mktemp("check"), config)
    yield running
    running.process.terminate()
    running.process.wait(10)


def environment(gateway: GatewayProcess) -> dict[str, str]:
    """Give what ``whygate run`` would give a command."""
    words = [sys.executable, "-m", "gateway", "run", "--state", str(gateway.state), "--", "env", "-0"]
    out = subprocess.run(words, env=CLEAN, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout.decode()
    return dict(variable.split("=", 1) for variable in out.split("\0") if "=" in variable)


RUNTIMES = {
    "python": ([sys.executable, "app.py"], {"urllib", "httpx2"}),
    "curl": (["curl"], {"curl"}),
    "ruby": (["ruby"], {"net/http"}),
    "node": (["node"], set()),
    "php": (["php"], set()),
    "java": (["java"], {"HttpClient", "HttpURLConnection"}),
    "go": (["go", "run", "."], {"net/http"}),
}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_each_canary_comes_through_a_real_gateway_and_leaves_no_row(
    gateway: GatewayProcess, runtime: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By base URL every means; by proxy those that read the variables."""
    command, proxied = RUNTIMES[runtime]
    require_tool(command[0], f"apt-get install {runtime}")
    env = environment(gateway)
    code = check(command, env, env["OPENAI_BASE_URL"], gateway.ca, NOWHERE)
    out = capsys.readouterr().out
    lines = [line.rsplit(None, 2) for line in out.partition("base URL\n")[2].partition("\n\n")[0].splitlines()]
    assert code == 0, out
    assert {line[2] for line in lines} == {"yes"}, out
    assert proxied <= {line[0].strip() for line in lines if line[1] == "yes"}, out
    assert [row for row in gateway.flows() if row["kind"] == "api"] == []


def test_without_our_variables_a_canary_goes_past(gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """And is not taken for one that came through."""
    require_tool("curl", "apt-get install curl")
    assert check(["curl"], {"PATH": os.environ["PATH"]}, "", gateway.ca, NOWHERE) == 1
    assert "Calls by curl would go past the gateway." in capsys.readouterr().out


def test_a_canarys_words_end_with_token_and_addresses() -> None:
    assert Canary("curl", "curl", ("sh", "x")).command("t", "u", "") == ["sh", "x", "t", "u", ""]
