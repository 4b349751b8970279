"""`whygate tail` and `whygate flows`, as a person types them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from gateway.record.recorder import Recorder
from gateway.record.row import utc_text
from gateway.state import Runtime, State
from tests.gateway.record.made import EPOCH, HandClock, a_row, until
from tests.gateway.record.test_recorder import run_one
from tests.gateway.show.served import TOKEN, Served, serve_page
from tests.gateway.show.test_web import fail_one

ROOT = Path(__file__).parents[3]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.open(tmp_path / "state")


def whygate(state: State, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments, "--state", str(state.directory)]
    environment = {
        **os.environ,
        "COLUMNS": "100",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)


@contextlib.contextmanager
def running(state: State, port: int = 0) -> Iterator[Served]:
    """A page that says where it is, as a gateway does."""
    with serve_page(state.flows_db, HandClock(), port) as served:
        page = f"127.0.0.1:{served.port}"
        Runtime(pid=os.getpid(), listen="127.0.0.1:1", page=page, token=TOKEN, started_at="x").write(state)
        yield served


def earlier_log(state: State, calls: int) -> list[str]:
    """What a gateway left that ran before."""
    recorder = Recorder(state.flows_db, HandClock())
    recorder.start()
    ids = [run_one(recorder) for _ in range(calls)]
    recorder.close()
    return ids


def ids_of(output: str) -> list[str]:
    return [json.loads(line)["id"] for line in output.splitlines()]


def test_flows_come_from_the_page_of_a_running_gateway(state: State) -> None:
    """Also those that are not in the file yet, and never through a proxy."""
    with running(state) as served:
        good, bad = run_one(served.recorder), fail_one(served)
        assert ids_of(whygate(state, "flows", "--json").stdout) == [bad, good]
        assert ids_of(whygate(state, "flows", "--json", "--failures").stdout) == [bad]
        told = whygate(state, "flows", "show", "last")
        assert told.stdout.startswith("Tokens per minute used up")
        assert "whygate" not in told.stderr
        assert bad in whygate(state, "flows").stdout


def test_flows_come_from_the_log_when_no_gateway_runs(state: State) -> None:
    """A stale runtime file does not matter."""
    ids = earlier_log(state, 30)
    with running(state):
        pass
    assert ids_of(whygate(state, "flows", "--json", "--limit", "25").stdout) == ids[:-26:-1]
    assert json.loads(whygate(state, "flows", "show", ids[3], "--json").stdout)["id"] == ids[3]


@pytest.mark.parametrize("verb", [["flows"], ["flows", "show", "x"], ["tail"]])
def test_neither_gateway_nor_log_is_one_sentence_and_exit_2(state: State, verb: list[str]) -> None:
    """With what to do."""
    told = whygate(state, *verb)
    assert told.returncode == 2
    assert told.stdout == ""
    assert "No gateway is running, and there is no log" in told.stderr
    assert "whygate run -- your command" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_damaged_log_is_one_sentence_and_exit_2(state: State) -> None:
    """Nothing is moved: only the gateway repairs."""
    state.flows_db.write_bytes(b"x" * 9000)
    told = whygate(state, "flows")
    assert (told.returncode, "Traceback" in told.stderr) == (2, False)
    assert "The log cannot be read" in told.stderr
    assert state.flows_db.read_bytes() == b"x" * 9000


@pytest.mark.parametrize("bad", [["--status", "abc"], ["--cause", "Not a slug"], ["--since", "once"]])
def test_a_filter_that_means_nothing_is_refused(state: State, bad: list[str]) -> None:
    """Rather than an empty list that looks like good news."""
    earlier_log(state, 1)
    told = whygate(state, "flows", *bad)
    assert told.returncode == 2
    assert "xpected" in told.stderr


def test_an_unknown_id_is_refused(state: State) -> None:
    """With where ids are found."""
    earlier_log(state, 1)
    told = whygate(state, "flows", "show", "nope")
    assert told.returncode == 2
    assert "whygate flows" in told.stderr


class Tail:
    """A tail in the background, whose lines a test waits for."""

    def __init__(self, state: State, output: Path, *arguments: str) -> None:
        self.output = output
        command = [sys.executable, "-m", "gateway", "tail", "--json", "--state", str(state.directory), *arguments]
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)

    def ids(self) -> list[str]:
        written, end, _half = self.output.read_text().rpartition("\n")  # it may be writing a line now
        return ids_of(written + end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


def test_tail_follows_across_a_restart_and_ends_cleanly(state: State, tmp_path: Path) -> None:
    """Every call once, in the order in which they ended, whatever happened to the gateway meanwhile."""
    with contextlib.ExitStack() as both:
        with running(state) as served:
            port = served.port
            ids = [run_one(served.recorder) for _ in range(3)]
            tail = both.enter_context(Tail(state, tmp_path / "out", "--lines", "2"))
            until(lambda: tail.ids() == ids[-2:], 15)
            ids.append(run_one(served.recorder))
            until(lambda: tail.ids() == ids[-3:])
        served = both.enter_context(running(state, port))
        ids += [run_one(served.recorder), fail_one(served)]
        until(lambda: set(tail.ids()) == set(ids[-5:]), 15)
        assert len(tail.ids()) == 5
        assert tail.interrupt() == 0
    assert "Traceback" not in tail.output.with_suffix(".err").read_text()


def test_tail_shows_the_log_and_waits_when_no_gateway_runs(state: State, tmp_path: Path) -> None:
    """And goes on as soon as there is one."""
    ids = earlier_log(state, 3)
    with Tail(state, tmp_path / "out") as tail:
        until(lambda: tail.ids() == ids, 15)
        with running(state) as served:
            new = fail_one(served)
            until(lambda: tail.ids() == [*ids, new], 15)
            assert tail.interrupt() == 0


def test_readers_never_import_the_proxy() -> None:
    """It takes a second, and a list of calls shall not."""
    code = (
        "import sys, gateway.cli.readers, gateway.cli.following, gateway.show.terminal;"
        "print([name for name in ('mitmproxy', 'aiohttp', 'uvicorn') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


FILTERS = [
    (("--tenant", "research"), ["b"]),
    (("--app", "python3 app.py (pid 7)"), ["a"]),
    (("--until", "2026-09-21T14:13:22Z"), ["a"]),
    (("--since", "2026-09-21T14:13:22Z", "--until", "2026-09-21T14:13:24Z"), ["b"]),
    (("--model", "gpt-5"), ["c"]),
]


@pytest.mark.parametrize(("options", "ids"), FILTERS)
@pytest.mark.parametrize("runs", [True, False])
def test_the_filters_of_the_page_are_options_of_flows(
    state: State, options: tuple[str, ...], ids: list[str], runs: bool
) -> None:
    def keep(recorder: Recorder) -> None:
        told: list[dict[str, Any]] = [{"app": "python3 app.py (pid 7)"}, {"tenant": "research"}, {"model": "gpt-5"}]
        for number, one in enumerate(told, 1):
            at = utc_text(EPOCH + 2 * number - 1)
            recorder.recorded(a_row(number, **({"id": "abc"[number - 1], "started_at": at} | one)))
        until(lambda: recorder.health()["written"] == 3)

    if runs:
        with running(state) as served:
            keep(served.recorder)
            assert ids_of(whygate(state, "flows", "--json", *options).stdout) == ids
        return
    recorder = Recorder(state.flows_db, HandClock())
    recorder.start()
    keep(recorder)
    recorder.close()
    assert ids_of(whygate(state, "flows", "--json", *options).stdout) == ids


def test_a_time_that_means_nothing_is_named_as_it_was_given(state: State) -> None:
    earlier_log(state, 1)
    said = whygate(state, "flows", "--until", "yesterday")
    assert said.returncode == 2
    assert "until='yesterday'" in said.stderr
