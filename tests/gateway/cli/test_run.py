"""One command through the gateway: its environment, its signals, its exit code, and the last words."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.state import Runtime
from tests.gateway.cli.conftest import TOKEN, PageApi, Whygate

PRINT_ENV = "import json, os; print(json.dumps(dict(os.environ)))"


def a_row(**changes: Any) -> dict[str, Any]:
    """Give a call that went well."""
    row = {"kind": "api", "cause": None, "attempts": [{"n": 1}], "cache": "none", "queue_ms": 0.0, "diagnosis": None}
    return row | changes


def a_failure(cause: str, title: str = "A title", step: str = "Do this.") -> dict[str, Any]:
    """Give a call that failed."""
    diagnosis = {"title": title, "what_happened": "It happened.", "what_to_do": [step, "Then that."]}
    return a_row(cause=cause, diagnosis=diagnosis)


def test_the_command_gets_the_environment_and_nothing_else_changes(whygate: Whygate, page_api: PageApi) -> None:
    """Proxy, certificates, base URLs; its arguments untouched."""
    words = ("run", "--base-url", "--", sys.executable, "-c", PRINT_ENV, "--config")
    done = whygate(*words, NO_PROXY="corp.example", MINE="1")
    env = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        assert env[name] == "http://127.0.0.1:8765"
    assert "ALL_PROXY" not in env
    assert env["NO_PROXY"] == env["no_proxy"] == "corp.example,localhost,127.0.0.1,::1"
    assert env["OPENAI_BASE_URL"] == "http://127.0.0.1:8765/openai/v1"
    assert env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8765/anthropic"
    assert env["SSL_CERT_FILE"] == env["NODE_EXTRA_CA_CERTS"] == str(whygate.state.ca_bundle_pem)
    assert env["NODE_USE_ENV_PROXY"] == "1"
    assert "-Dhttps.proxyPort=8765" in env["JAVA_TOOL_OPTIONS"]
    assert env["PHP_INI_SCAN_DIR"] == f":{whygate.state.directory / 'php'}"
    assert env["MINE"] == "1"
    assert page_api.asked[0][1] == f"Bearer {TOKEN}"


def test_a_program_that_reads_proxy_variables_keeps_the_base_urls_it_has(whygate: Whygate, page_api: PageApi) -> None:
    """What is not set stays so: an app may do other things once it sees one. A shell may start anything."""
    python = json.loads(whygate("run", "--", sys.executable, "-c", PRINT_ENV).stdout)
    assert python["HTTPS_PROXY"]
    assert not [name for name in python if name.endswith(("_BASE_URL", "_API_BASE"))]
    shell = whygate("run", "--", "sh", "-c", "echo $OPENAI_BASE_URL")
    assert shell.stdout == "http://127.0.0.1:8765/openai/v1\n"


def test_options_after_the_command_belong_to_it_even_without_dashes(whygate: Whygate, page_api: PageApi) -> None:
    """As with env and nice."""
    done = whygate("run", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--no-base-url", "--help")
    assert done.stdout == "['--no-base-url', '--help']\n"
    assert page_api.asked


def test_a_relay_in_a_base_url_is_led_through_the_gateway(whygate: Whygate, page_api: PageApi) -> None:
    """Also under its older name; ours is not set beside it: a relay's key must not reach the provider."""
    done = whygate(
        "run", "--", sys.executable, "-c", PRINT_ENV, OPENAI_API_BASE="https://relay.example/v1",
    )  # fmt: skip
    env = json.loads(done.stdout)
    assert env["OPENAI_API_BASE"] == "http://127.0.0.1:8765/relay.example/v1"
    assert "OPENAI_BASE_URL" not in env
    assert page_api.adopted == ["https://relay.example/v1"]
    assert "OPENAI_API_BASE now leads to relay.example through the gateway" in done.stderr


def test_a_gateway_that_cannot_adopt_leaves_the_relay_as_it_is(whygate: Whygate, page_api: PageApi) -> None:
    """An older one."""
    page_api.adopts = False
    done = whygate("run", "--", sys.executable, "-c", PRINT_ENV, OPENAI_BASE_URL="https://relay.example/v1")
    assert json.loads(done.stdout)["OPENAI_BASE_URL"] == "https://relay.example/v1"
    assert "OPENAI_BASE_URL stays as it is; calls to relay.example pass through unread" in done.stderr


def test_a_base_url_in_a_dotenv_file_is_not_written_over(whygate: Whygate, page_api: PageApi) -> None:
    """The file loses against the environment."""
    (whygate.cwd / ".env").write_text("OPENAI_BASE_URL=https://relay.example/v1\n")
    done = whygate("run", "--", sys.executable, "-c", PRINT_ENV)
    assert "OPENAI_BASE_URL" not in json.loads(done.stdout)
    assert page_api.adopted == ["https://relay.example/v1"]


def test_with_no_base_url_no_such_variable_changes(whygate: Whygate, page_api: PageApi) -> None:
    """The relay is adopted for the proxy."""
    done = whygate("run", "--no-base-url", sys.executable, "-c", PRINT_ENV, OPENAI_BASE_URL="https://relay.example/v1")
    env = json.loads(done.stdout)
    assert env["OPENAI_BASE_URL"] == "https://relay.example/v1"
    assert "ANTHROPIC_BASE_URL" not in env
    assert page_api.adopted == ["https://relay.example/v1"]


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_commands(whygate: Whygate, page_api: PageApi, code: int) -> None:
    """All of them."""
    assert whygate("run", "--", "sh", "-c", f"exit {code}").returncode == code
    assert page_api.asked


def test_a_command_that_a_signal_ended_gives_128_and_its_number(whygate: Whygate, page_api: PageApi) -> None:
    """As a shell says it."""
    assert whygate("run", "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert page_api.asked


def test_a_command_that_does_not_exist_is_127_and_no_program_126(whygate: Whygate, page_api: PageApi) -> None:
    """One sentence, no traceback."""
    missing = whygate("run", "--", "no-such-command-anywhere")
    assert missing.returncode == 127
    assert "There is no command no-such-command-anywhere" in missing.stderr
    (whygate.cwd / "data").write_text("x")
    no_program = whygate("run", "--", str(whygate.cwd / "data"))
    assert no_program.returncode == 126
    assert "chmod +x" in no_program.stderr
    assert "Traceback" not in missing.stderr + no_program.stderr
    assert not page_api.asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_go_on_to_the_command(whygate: Whygate, page_api: PageApi, number: signal.Signals) -> None:
    """It decides what they mean."""
    script = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)"
    )
    process = whygate.start("run", "--", sys.executable, "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 42
    assert page_api.asked


def test_ctrl_c_in_a_terminal_reaches_the_command_once(whygate: Whygate, page_api: PageApi) -> None:
    """The terminal sends it to both; forwarding would make it two."""
    script = (
        "import signal, time\n"
        "got = []\n"
        "signal.signal(signal.SIGINT, lambda *_: got.append(1))\n"
        "print('ready', flush=True)\n"
        "time.sleep(1.5)\n"
        "print(f'got {len(got)}', flush=True)"
    )
    in_a_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = whygate.command("run", "--", sys.executable, "-c", script)
    with subprocess.Popen(
        [sys.executable, "-c", in_a_terminal, *command],
        cwd=whygate.cwd, env=whygate.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        seen = b""
        while b"ready" not in seen:
            seen += process.stdout.read(1024)
        process.stdin.write(b"\x03")
        while b"got " not in seen:
            seen += process.stdout.read(1024)
        process.stdin.close()
        code = process.wait(20)
    assert b"got 1" in seen
    assert code == 0
    assert page_api.runtime.listen


def test_failed_calls_end_in_one_block(whygate: Whygate, page_api: PageApi) -> None:
    """How many, why, what to do first, where to look."""
    page_api.rows = [
        a_failure("quota.exhausted", "Quota is used up", "Add credit."),
        a_failure("network.offline", "No network\x1b[31m", "Plug it in."),
        a_failure("quota.exhausted"),
        a_row(),
        a_row(kind="tunnel"),
    ]
    done = whygate("run", "--", "true")
    lines = done.stderr.strip().splitlines()
    assert lines[0] == "whygate: 4 calls, 3 failed."
    assert lines[1] == "  2 x quota.exhausted: Quota is used up"
    assert lines[3] == "      What to do: Add credit."
    assert f"{page_api.runtime.page_link}" in lines[-1]
    assert "\x1b" not in done.stderr
    assert (done.returncode, done.stdout) == (0, "")
    assert "since=20" in page_api.asked[0][0]
    assert "limit=500" in page_api.asked[0][0]


def test_what_was_saved_is_one_line_and_nothing_saved_is_silence(whygate: Whygate, page_api: PageApi) -> None:
    """A wrapper must not chatter."""
    page_api.rows = [a_row(attempts=[{"n": 1}, {"n": 2}]), a_row(cache="hit", attempts=[]), a_row(queue_ms=3000.0)]
    assert whygate("run", "--", "true").stderr == (
        "whygate: 3 calls, none failed; 1 went through after a retry, 1 answered from the cache,"
        " 3 s waited to stay under limits.\n"
    )
    page_api.rows = [a_row()]
    assert whygate("run", "--", "true").stderr == ""


def test_a_command_that_lived_without_calls_says_how_to_look_into_it(whygate: Whygate, page_api: PageApi) -> None:
    """It may ignore proxy variables, and its user would wonder. One that ended at once had nothing to call for."""
    assert whygate("run", "--", "true").stderr == ""
    assert whygate("run", "--", "sleep", "1.1").stderr == (
        "whygate: no call came through whygate. `whygate run --check -- CMD` shows whether this program can be reached.\n"
    )
    assert page_api.asked


def test_a_page_that_fails_does_not_change_the_exit_code(whygate: Whygate, page_api: PageApi) -> None:
    """The command's result is its own."""
    page_api.status = 500
    done = whygate("run", "--", "sh", "-c", "exit 5")
    assert done.returncode == 5
    assert "the gateway no longer answers" in done.stderr


def test_a_gateway_that_is_killed_does_not_change_the_exit_code(standing_in: Whygate) -> None:
    """It is said, with the place of its log."""
    script = "import json, os, sys; os.kill(json.load(open(sys.argv[1]))['pid'], 9); sys.exit(6)"
    done = standing_in("run", "--", sys.executable, "-c", script, str(standing_in.state.runtime_json))
    assert done.returncode == 6
    assert str(standing_in.state.gateway_log) in done.stderr
    assert "Traceback" not in done.stderr


def test_the_proxy_of_the_user_is_not_asked_for_the_page(whygate: Whygate, page_api: PageApi) -> None:
    """It could not reach it."""
    done = whygate("run", "--", "true", HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1")
    assert done.returncode == 0
    assert len(page_api.asked) == 1


def test_another_address_than_the_running_gateways_is_refused(whygate: Whygate, page_api: PageApi) -> None:
    """One gateway a state directory."""
    done = whygate("run", "--listen", "127.0.0.1:1", "--", "true")
    assert done.returncode == 2
    assert "listens on 127.0.0.1:8765, not on 127.0.0.1:1" in done.stderr
    assert whygate("run", "--listen", page_api.runtime.listen, "--", "true").returncode == 0


def gone(state_file: Path) -> bool:
    """Wait for a file to go."""
    deadline = time.monotonic() + 5
    while state_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)  # noqa: TID251
    return not state_file.exists()


def test_without_a_gateway_one_is_started_and_ends_with_its_last_run(standing_in: Whygate) -> None:
    """Two runs at once share it."""
    first = standing_in.start("run", "--", sys.executable, "-c", "import time; time.sleep(2)")
    second = standing_in("run", "--", sys.executable, "-c", PRINT_ENV)
    runtime = Runtime.read(standing_in.state)
    assert second.returncode == 0, second.stderr
    assert runtime is not None
    assert runtime.ends_with_runs
    assert json.loads(second.stdout)["HTTPS_PROXY"] == runtime.listen_url
    _, errors = first.communicate(timeout=20)
    assert first.returncode == 0, errors
    assert gone(standing_in.state.runtime_json)
    assert standing_in.state.gateway_log.stat().st_mode & 0o777 == 0o600


def test_the_users_proxy_is_left_to_the_gateway_and_said(standing_in: Whygate) -> None:
    """Without its password."""
    done = standing_in("run", "--", "true", HTTPS_PROXY="http://me:secret@corp.example:3128")
    assert "HTTPS_PROXY (corp.example) is left to the gateway" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(("failure", "told"), [("start", "The port is in use"), ("crash", "boom")])
def test_a_gateway_that_cannot_start_is_shown_with_its_words(standing_in: Whygate, failure: str, told: str) -> None:
    """And the command is not run."""
    done = standing_in("run", "--", "echo", "ran", WHYGATE_TEST_FAIL=failure)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "The gateway ended while starting" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_told_before_anything_starts(standing_in: Whygate) -> None:
    """By run itself, not through a log."""
    done = standing_in("run", "--", "echo", "ran", WHYGATE_RETRY__MAX_ATTEMPTS="0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "WHYGATE_RETRY__MAX_ATTEMPTS: retry.max_attempts = 0: expected at least 1." in done.stderr
    assert not standing_in.state.gateway_log.exists()


def test_what_was_answered_instead_is_said_behind_the_failures(whygate: Whygate, page_api: PageApi) -> None:
    """The app saw no failure, and its provider gave no answer all the same."""
    helped = [a_failure("network.tcp_refused") | {"status": 200, "fallback": "ollama"}] * 2
    stale = a_failure("network.tcp_refused") | {"status": 200, "cache": "stale"}
    page_api.rows = [*helped, stale, a_failure("network.tcp_refused") | {"status": 502}, a_row()]
    told = whygate("run", "--", sys.executable, "-c", "").stderr
    assert "5 calls, 4 failed; 3 of them got an older answer or a fallback's instead." in told
