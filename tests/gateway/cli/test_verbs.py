"""The smaller verbs, and what every verb does with a mistake."""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.authority import load_or_create
from gateway.cli.env import Shell, _bash, _fish, _powershell
from gateway.cli.known import providers
from gateway.state import State
from tests.gateway.cli.conftest import PageApi, Whygate

VERBS = ("start", "run", "env", "simulate", "demo", "limits", "ca show", "ca path", "ca export", "ca remove",
         "config show", "config check", "config path", "config default")  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(whygate: Whygate, verb: str) -> None:
    """Not a word about it elsewhere is needed."""
    done = whygate(*verb.split(), "--help")
    assert done.returncode == 0
    assert "Example:  " in done.stdout
    assert "whygate" in done.stdout.partition("Example:")[2]


def test_the_version_is_printed(whygate: Whygate) -> None:
    """One line."""
    assert whygate("--version").stdout.startswith("whygate ")


@pytest.mark.parametrize("arguments", [("strat",), ("start", "--no-such"), ("env", "--shell", "csh"), ("run",)])
def test_wrong_usage_is_exit_code_2(whygate: Whygate, arguments: tuple[str, ...]) -> None:
    """With a hint, without a traceback."""
    done = whygate(*arguments)
    assert done.returncode == 2
    assert "--help" in done.stderr or "-h" in done.stderr
    assert "Traceback" not in done.stderr


def loose(state: State) -> None:
    """Open to others."""
    state.directory.chmod(0o755)


def a_link(state: State) -> None:
    """Put a link in its place."""
    state.directory.rename(state.directory.with_name("real"))
    state.directory.symlink_to(state.directory.with_name("real"))


def a_file(state: State) -> None:
    """Put a file in its place."""
    shutil.rmtree(state.directory)
    state.directory.write_text("")


def spoil(name: str, mode: int | None = None) -> Callable[[State], None]:
    """Lose or open one file of the authority."""

    def apply(state: State) -> None:
        file = state.directory / name
        if mode is None:
            file.unlink()
        else:
            file.chmod(mode)

    return apply


BAD_STATES: dict[str, tuple[Callable[[State], None], str]] = {
    "open directory": (loose, "chmod 700"),
    "link": (a_link, "symbolic link"),
    "file": (a_file, "is a file"),
    "key missing": (spoil("ca.key"), "key is missing"),
    "certificate missing": (spoil("ca.pem"), "certificate is missing"),
    "key open": (spoil("ca.key", 0o644), "chmod 600"),
}


@pytest.mark.parametrize("verb", ["start", "run -- true", "ca path"])
@pytest.mark.parametrize(("make_bad", "told"), BAD_STATES.values(), ids=BAD_STATES)
def test_a_bad_state_directory_is_one_screen_and_exit_code_2(
    standing_in: Whygate, make_bad: Callable[[State], None], told: str, verb: str
) -> None:
    """Nothing is written over, nothing starts, no traceback."""
    load_or_create(standing_in.state)
    make_bad(standing_in.state)
    keys = {file: file.read_bytes() for file in standing_in.cwd.parent.rglob("ca.*")}
    done = standing_in(*verb.split())
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 24
    assert {file: file.read_bytes() for file in standing_in.cwd.parent.rglob("ca.*")} == keys


@pytest.mark.parametrize("verb", ["start", "run -- true", "config check", "config show"])
def test_bad_settings_are_one_screen_and_exit_code_2(standing_in: Whygate, verb: str) -> None:
    """All of them, with the file's line for a slip of the pen."""
    file = standing_in.cwd / "a.toml"
    file.write_text("[listen]\naddress = 'myhost:1'\nport = 3\n" + "".join(f"x{n} = 1\n" for n in range(20)))
    verb, *rest = verb.split(" --", 1)
    arguments = [*verb.split(), "--config", str(file), *(f"--{words}" for words in rest for words in words.split())]
    done = standing_in(*verb.split(), "--config", str(file), *(["--", "true"] if rest else []))
    assert done.returncode == 2, (arguments, done.stderr)
    assert "22 problems" in done.stderr
    assert "... and 10 more" in done.stderr
    assert "Traceback" not in done.stderr
    file.write_text("[listen]\nx")
    assert "a.toml, line 2" in standing_in("config", "check", "--config", str(file)).stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--listen", "0.0.0.0:8080"), ("--listen", "8080"), ("--page", "127.0.0.1:70000")]
)
def test_a_bad_address_on_the_command_line_is_named(standing_in: Whygate, option: str, value: str) -> None:
    """By its option."""
    done = standing_in("start", option, value)
    assert done.returncode == 2
    assert f"{option}: " in done.stderr
    assert value in done.stderr


def test_a_rule_for_an_unknown_provider_is_refused(whygate: Whygate) -> None:
    """It would silently limit nothing."""
    done = whygate("config", "check", WHYGATE_LIMITS__RULES='[{"provider": "opnai", "rpm": 3}]')
    assert done.returncode == 2
    assert "Did you mean openai?" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WHYGATE_CACHE__RULES", '[{"name": "x", "provider": "opnai"}]'),
        ("WHYGATE_FALLBACK", '[{"name": "x", "provider": "opnai", "text": "no"}]'),
    ],
)
def test_no_table_may_name_an_unknown_provider(whygate: Whygate, name: str, value: str) -> None:
    done = whygate("config", "check", **{name: value})
    assert done.returncode == 2
    assert "Did you mean openai?" in done.stderr
    assert whygate("config", "check", **{name: value.replace("opnai", "*")}).returncode == 0


def test_start_says_what_is_cached_and_who_answers_instead(standing_in: Whygate) -> None:
    process = standing_in.start(
        "start", "--page", "127.0.0.1:0", "--listen", "127.0.0.1:8766",
        WHYGATE_CACHE__RULES='[{"name": "pinned"}, {"name": "faq", "shared": true}, {"name": "no", "ttl_seconds": 0}]',
        WHYGATE_FALLBACK='[{"name": "sorry", "text": "no"}]',
    )  # fmt: skip
    assert process.stdout is not None
    text = ""
    while "whygate env" not in text and (line := process.stdout.readline()):
        text += line
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    told = " ".join(text.split())
    assert "for 3,600 s; by rule: pinned; never across keys, but for: faq" in told
    assert "Fallback sorry (a fixed text)" in told


def test_start_says_where_everything_is_and_stops_on_request(standing_in: Whygate) -> None:
    """Proxy, base URLs, page with token, what is cached, how to use it."""
    process = standing_in.start("start", "--page", "127.0.0.1:0", "--listen", "127.0.0.1:8766", "--no-cache")
    assert process.stdout is not None
    lines: list[str] = []
    while "whygate env" not in "".join(lines[-1:]) and (line := process.stdout.readline()):
        lines.append(line)
    text = "".join(lines)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Proxy       http://127.0.0.1:8766" in text
    assert "http://127.0.0.1:8766/openai/v1\n" in text
    assert "http://127.0.0.1:8766/anthropic\n" in text
    others = text.partition("and /")[2].partition("  Page")[0]
    assert {f"/{provider.name}" in text for provider in providers() if provider.hosts} == {True}
    assert "http://" not in others
    assert max(len(line) for line in lines if "Cached" not in line) <= 80
    assert "/?token=" in text
    assert "Cached      nothing" in text
    assert 'eval "$(whygate env)"' in text


def test_a_start_error_is_one_screen(standing_in: Whygate) -> None:
    """What, where, what to do."""
    done = standing_in("start", WHYGATE_TEST_FAIL="start")
    assert done.returncode == 2
    assert done.stderr == (
        "whygate: The port is in use.\n  where  127.0.0.1:8080\n  do     Give another.\n"
    )  # fmt: skip


def test_a_bug_of_ours_is_no_traceback_unless_asked_for(standing_in: Whygate) -> None:
    """Exit code 70, as for software errors."""
    done = standing_in("start", WHYGATE_TEST_FAIL="crash")
    assert done.returncode == 70
    assert "RuntimeError: boom" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in standing_in("start", WHYGATE_TEST_FAIL="crash", WHYGATE_TRACEBACK="1").stderr


def test_env_without_a_gateway_says_how_to_start_one(whygate: Whygate) -> None:
    """Nothing on standard output, which is evaluated."""
    done = whygate("env")
    assert (done.returncode, done.stdout) == (2, "")
    assert "whygate start" in done.stderr


def test_env_can_be_evaluated_twice(whygate: Whygate, page_api: PageApi) -> None:
    """The second time nothing changes."""
    first = whygate("env", NO_PROXY="it's $HOME; `x`").stdout
    script = first + "\nexport MARK=1\nenv -0"
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=whygate.env).stdout
    evaluated = dict(entry.split("=", 1) for entry in out.split("\0") if "=" in entry)
    assert evaluated["NO_PROXY"].startswith("it's $HOME; `x`,localhost")
    assert evaluated["HTTPS_PROXY"] == page_api.runtime.listen_url
    again = whygate("env", **{name: evaluated[name] for name in evaluated if name in first})
    assert again.stdout == first


def test_env_takes_back_the_port_of_an_earlier_gateway(whygate: Whygate, page_api: PageApi) -> None:
    """A stale base URL of ours is no choice of the user's."""
    done = whygate("env", OPENAI_BASE_URL="http://127.0.0.1:9999/openai/v1")
    assert f"OPENAI_BASE_URL={page_api.runtime.listen_url}/openai/v1" in done.stdout


def test_env_is_quoted_for_each_shell(whygate: Whygate, page_api: PageApi) -> None:
    """Nothing in a value can run."""
    evil = "a'b\\c $(x)"
    assert _bash("A", evil) == "export A='a'\"'\"'b\\c $(x)'"
    assert _fish("A", evil) == "set -gx A 'a\\'b\\\\c $(x)'"
    assert _powershell("A", evil) == "$env:A = 'a''b\\c $(x)'"
    for shell in Shell:
        assert page_api.runtime.listen_url in whygate("env", "--shell", shell).stdout
    assert whygate("env", SHELL="/usr/bin/fish").stdout.startswith("set -gx ")


def test_no_proxy_that_goes_past_the_gateway_is_said(whygate: Whygate, page_api: PageApi) -> None:
    """On stderr, beside the exports."""
    done = whygate("env", NO_PROXY=".openai.com")
    assert "calls to api.openai.com may go past the gateway" in done.stderr
    assert page_api.runtime.listen


def test_the_authority_can_be_seen_exported_and_removed(whygate: Whygate) -> None:
    """The key never leaves."""
    assert whygate("ca", "show").returncode == 2
    path = Path(whygate("ca", "path").stdout.strip())
    assert path == whygate.state.ca_pem
    shown = whygate("ca", "show").stdout
    assert load_or_create(whygate.state).fingerprint_sha256 in shown
    target = whygate.cwd / "out.crt"
    assert whygate("ca", "export", str(target)).returncode == 0
    assert target.read_bytes() == path.read_bytes()
    assert whygate("ca", "export", str(target)).returncode == 2
    assert whygate("ca", "export", "-").stdout.encode() == path.read_bytes()
    others = whygate("ca", "export", "--bundle", "-").stdout
    assert others.startswith(f"# whygate local CA\n{path.read_text().strip()}")
    assert others.count("BEGIN CERTIFICATE") > 1
    assert "PRIVATE" not in others
    assert whygate("ca", "remove").returncode == 1
    assert path.exists()
    removed = whygate("ca", "remove", "--yes")
    assert removed.returncode == 0
    assert "update-ca-certificates" in removed.stdout
    assert not path.exists()
    assert not whygate.state.ca_key.exists()


def test_the_authority_of_a_running_gateway_is_not_removed(whygate: Whygate, page_api: PageApi) -> None:
    """It would go on signing with a key that is gone."""
    done = whygate("ca", "remove", "--yes")
    assert done.returncode == 2
    assert f"kill {page_api.runtime.pid}" in done.stderr
    assert whygate.state.ca_key.exists()


def test_config_shows_where_each_value_comes_from(whygate: Whygate) -> None:
    """Default, file, variable; the token hidden."""
    file = whygate.cwd / "a.toml"
    file.write_text("[record]\nbodies = false\n[page]\ntoken = 'hunter2-hunter2-hunter2'\n")
    out = whygate("config", "show", WHYGATE_CONFIG=str(file), WHYGATE_CACHE__ENABLED="no").stdout
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert lines["record.bodies"] == ["false", str(file)]
    assert lines["cache.enabled"] == ["false", "WHYGATE_CACHE__ENABLED"]
    assert lines["retry.max_attempts"] == ["3", "default"]
    assert "hunter2" not in out
    assert whygate("config", "path", WHYGATE_CONFIG=str(file)).stdout.strip() == str(file)


def test_the_simulator_answers(whygate: Whygate) -> None:
    """A chat with any key, and says its limits."""
    limits = ("--rpm", "60", "--burst", "5", "--tpm", "900", "--burst-tokens", "90", "--concurrency", "2")
    process = whygate.start("simulate", "--listen", "127.0.0.1:0", *limits)
    assert process.stdout is not None
    url = process.stdout.readline().split()[5].rstrip(".")
    command = ["curl", "-si", "--noproxy", "*", f"{url}/v1/chat/completions", "-H", "authorization: Bearer any",
               "-H", "content-type: application/json",
               "-d", '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}']  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    process.terminate()
    process.communicate(timeout=20)
    assert '"choices"' in answer
    assert "x-ratelimit-limit-requests: 60\n" in answer
    assert "x-ratelimit-remaining-requests: 4\n" in answer
    assert "x-ratelimit-limit-tokens: 900\n" in answer


def test_a_burst_needs_its_limit(whygate: Whygate) -> None:
    """A bucket that nothing refills."""
    done = whygate("simulate", "--rpm", "60", "--burst-tokens", "9")
    assert done.returncode == 2
    assert "--tpm" in done.stderr


def test_the_simulator_stays_on_this_machine(whygate: Whygate) -> None:
    """It answers anybody."""
    done = whygate("simulate", "--listen", "0.0.0.0:9080")
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
