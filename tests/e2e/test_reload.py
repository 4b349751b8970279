"""On SIGHUP the settings are read again: calls go on, a mistake changes nothing, and what needs a restart is named."""

import contextlib
import os
import pty
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.test_ending import begin_streams, refuses
from tests.e2e.world import World, job, new_world
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

RELOAD_SECONDS = 10.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as made:
        yield made


def health(gateway: GatewayProcess) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {gateway.runtime['token']}"}
    url = f"http://{gateway.runtime['page']}/api/health"
    found: dict[str, Any] = httpx2.get(url, headers=headers, trust_env=False).raise_for_status().json()
    return found


def limits(gateway: GatewayProcess) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {gateway.runtime['token']}"}
    url = f"http://{gateway.runtime['page']}/api/limits"
    found: dict[str, Any] = httpx2.get(url, headers=headers, trust_env=False).raise_for_status().json()
    return found


def reload(gateway: GatewayProcess) -> dict[str, Any]:
    """Send the signal, and give how it went."""
    before = health(gateway)["reload"]
    gateway.process.send_signal(signal.SIGHUP)

    def done() -> dict[str, Any] | None:
        now: dict[str, Any] | None = health(gateway)["reload"]
        return now if now != before else None

    return gateway.until(done, RELOAD_SECONDS)


def settle(world: World, extra: str) -> dict[str, Any]:
    """Write other settings and have them read."""
    world.gateway.config.write_text(config_for(world.provider.port, extra))
    return reload(world.gateway)


def rule(**figures: int) -> str:
    named = "".join(f"{name} = {figure}\n" for name, figure in figures.items())
    return f'[[limits.rules]]\nprovider = "openai"\n{named}'


def test_two_hundred_calls_bear_ten_reloads_good_and_bad(world: World) -> None:
    """Some run and some wait; none fails, and the last good settings are in force."""
    gateway = world.gateway
    assert settle(world, rule(concurrency=60, rpm=4000))["ok"]
    headers = {"x-simulate-interval-ms": "150", "x-simulate-events": "10", "x-whygate-timeout-ms": "60000"}
    key = "sk-proj-canary-reload-" + "z" * 24
    jobs = [job("chat", f"call {n}", stream=n % 2 == 0, headers=headers, key=key) for n in range(200)]
    world.proxied.send(jobs)
    gateway.until(lambda: health(gateway)["running"] > 100)
    assert gateway.until(lambda: limits(gateway)["waiting"])
    outcomes = []
    for number in range(10):
        if number % 2:
            gateway.config.write_text(config_for(world.provider.port, "[limits]\nqueue_max = -1\n[retry\n"))
            outcomes.append(reload(gateway)["ok"])
        else:
            outcomes.append(settle(world, rule(concurrency=50 + number, rpm=5000 + number))["ok"])
    assert outcomes == [True, False] * 5
    results = world.proxied.results(60)
    assert [result["error"] for result in results] == [None] * 200
    (scope,) = [one for one in limits(gateway)["scopes"] if one["model"]]
    assert {line["limit"] for line in scope["limits"] if line["source"] == "configured"} == {58, 5008}
    (counted,) = [line for line in scope["limits"] if line["kind"] == "requests" and line["source"] == "configured"]
    assert counted["level"] == 5008 - 200, "calls were forgotten or counted twice"
    assert (scope["in_flight"], scope["queued"]) == (0, 0)
    assert gateway.stop() == 0


def test_a_mistake_changes_nothing_and_is_told_line_by_line(world: World) -> None:
    gateway = world.gateway
    assert settle(world, rule(rpm=77))["ok"]
    told = settle(world, '[limits]\nqueue_max = -1\nqueue_mx = 3\n[page]\ntoken = "short-canary"\n')
    assert (told["ok"], len(told["problems"]), told["restart"]) == (False, 3, [])
    log = gateway.log.read_text()
    for problem in told["problems"]:
        assert f"settings not taken: {problem}\n" in log
    assert "Did you mean queue_max?" in log
    assert "short-canary" not in log
    assert health(gateway)["state"] == "ready"
    assert world.proxied.ask_one(job())["error"] is None
    assert [one["limit"] for scope in limits(gateway)["scopes"] for one in scope["limits"]].count(77) == 1


def test_a_file_that_has_vanished_leaves_everything_as_it_was(world: World) -> None:
    gateway = world.gateway
    assert settle(world, rule(rpm=77))["ok"]
    gateway.config.unlink()
    told = reload(gateway)
    assert told["ok"] is False
    assert "expected a readable file (No such file or directory)" in told["problems"][0]
    assert world.proxied.ask_one(job())["error"] is None
    assert [one["limit"] for scope in limits(gateway)["scopes"] for one in scope["limits"]].count(77) == 1
    assert gateway.stop() == 0


def test_what_needs_a_restart_is_named_until_it_is_taken_back(world: World) -> None:
    gateway = world.gateway
    told = settle(world, '[cache]\nbackend = "memory"\nttl_seconds = 60\n[network]\nproxy = "none"\n')
    assert (told["ok"], told["restart"]) == (True, ["cache.backend", "network.proxy"])
    assert "needs a restart: cache.backend\n" in gateway.log.read_text()
    assert settle(world, '[network]\nproxy = "none"\n')["restart"] == ["network.proxy"]
    assert settle(world, "")["restart"] == []


def test_what_may_change_does(world: World) -> None:
    """The cache, the language of errors, a provider that was not there, the queue."""
    gateway = world.gateway
    same = job("chat", "the same", model="gpt-4o-mini", temperature=0)
    base = f"http://{gateway.runtime['listen']}"

    def ask(path: str) -> httpx2.Response:
        body = {"model": "gpt-4o-mini", "temperature": 0, "messages": [{"role": "user", "content": same["prompt"]}]}
        return httpx2.post(
            f"{base}{path}", json=body, headers={"authorization": f"Bearer {same['key']}"}, trust_env=False, timeout=20
        )

    assert "stored" in ask("/openai/v1/chat/completions").headers["cache-status"]
    assert "hit" in ask("/openai/v1/chat/completions").headers["cache-status"]
    assert ask("/corner/v1/chat/completions").status_code == 404
    relay = f'[[providers]]\nname = "corner"\nupstream = "http://127.0.0.1:{world.provider.port}"\n'
    told = settle(world, relay + '[cache]\nenabled = false\n[diagnose]\nlanguage = "it"\nprobes = "off"\n')
    assert (told["ok"], told["restart"]) == (True, [])
    assert "cache-status" not in ask("/openai/v1/chat/completions").headers
    assert ask("/corner/v1/chat/completions").status_code == 200
    assert "il server" in ask("/nobody/v1/chat/completions").json()["error"]["message"].lower()
    assert settle(world, "")["ok"]
    assert "hit" in ask("/openai/v1/chat/completions").headers["cache-status"]
    assert ask("/corner/v1/chat/completions").status_code == 404
    assert settle(world, "[limits]\nqueue_max = 7\n")["ok"]
    assert limits(gateway)["queue_max"] == 7


def test_many_signals_together_are_no_more_than_a_few_reloads(world: World) -> None:
    gateway = world.gateway
    for _ in range(50):
        gateway.process.send_signal(signal.SIGHUP)
    gateway.until(lambda: health(gateway)["reload"])
    assert reload(gateway)["ok"]
    assert 2 <= gateway.log.read_text().count("settings were read again") <= 30


def test_a_gateway_that_is_ending_ends_all_the_same(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        begin_streams(world, 2.0)
        gateway = world.gateway
        gateway.process.send_signal(signal.SIGTERM)
        GatewayProcess.until(lambda: refuses(gateway))
        for text in (config_for(world.provider.port, rule(rpm=1)), "[limits"):
            gateway.config.write_text(text)
            gateway.process.send_signal(signal.SIGHUP)
        results = world.proxied.results()
        assert [result["error"] for result in results] == [None] * 20
        assert gateway.process.wait(10) == 0


@pytest.mark.parametrize("outlives", [False, True])
def test_a_terminal_that_is_closed_ends_it_unless_it_was_to_outlive_it(tmp_path: Path, outlives: bool) -> None:
    """Such a SIGHUP asks for nothing to be read: a gateway in a window ends with the window."""
    state, log = tmp_path / "state", tmp_path / "log.txt"
    command = [sys.executable, "-m", "gateway", "start", "--state", str(state), "--listen", "127.0.0.1:0"]
    command += ["--page", "127.0.0.1:0"]
    if outlives:
        command = ["nohup", *command]
    pid, terminal = pty.fork()
    if not pid:  # the child: nothing but exec
        os.chdir(ROOT)
        out = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execvpe(command[0], command, CLEAN)

    def reloads(number: int) -> bool:
        return log.read_text().count("settings were read again") == number

    try:
        GatewayProcess.until((state / "runtime.json").exists, 20)
        os.kill(pid, signal.SIGHUP)
        GatewayProcess.until(lambda: reloads(1))  # as long as the terminal is there, it is a reload
        os.close(terminal)
        if outlives:
            os.kill(pid, signal.SIGHUP)
            GatewayProcess.until(lambda: log.read_text().count("settings were read again") > 1)
            os.kill(pid, signal.SIGTERM)
        GatewayProcess.until(lambda: not (state / "runtime.json").exists(), 10)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert outlives or reloads(1)
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
