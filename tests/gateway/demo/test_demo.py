"""The demo for real: what it prints, and how it ends."""

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.gateway.demo.stage import (
    COMMAND,
    Performance,
    end_group,
    performance,
    surroundings,
    wait_for,
)
from tests.running import ROOT

CAUSES = (
    "quota.exhausted",
    "auth.invalid_key",
    "request.context_length",
    "request.model_not_found",
    "network.connection_reset",
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    """A demo that has run to its end."""
    with performance(tmp_path_factory.mktemp("demo")) as running:
        wait_for(lambda: running.children() and running.process.poll() is not None)
        yield running


def numbers(text: str, name: str) -> tuple[float, float]:
    """Give both numbers of a row of the comparison."""
    table = text[text.index("without whygate") :]
    found = re.search(rf"^ *{re.escape(name)} +([\d.]+|-) +([\d.]+)$", table, re.MULTILINE)
    assert found is not None, f"no row {name!r} in:\n{table}"
    return float(found[1].replace("-", "0")), float(found[2])


def test_it_ends_well_in_hostile_surroundings(played: Performance) -> None:
    """Proxies, certificates, keys and settings of the user's do not matter."""
    assert played.process.returncode == 0, played.text


def test_without_the_gateway_the_provider_refuses_most_of_the_burst(played: Performance) -> None:
    made, _ = numbers(played.text, "Calls the app made")
    answered, _ = numbers(played.text, "answered")
    refused, _ = numbers(played.text, "refused, 429")
    assert refused > made / 2
    assert answered < made / 2


def test_through_the_gateway_every_call_is_answered(played: Performance) -> None:
    before, made = numbers(played.text, "Calls the app made")
    assert before == made
    assert numbers(played.text, "answered")[1] == made
    assert numbers(played.text, "refused, 429")[1] == 0
    assert numbers(played.text, "overloaded, 503 or 529")[1] == 0


def test_retries_help_and_repeated_prompts_come_from_the_cache(played: Performance) -> None:
    assert numbers(played.text, "Retries that helped")[1] > 0
    assert numbers(played.text, "Answers from the cache") == (0, 15)
    tokens = re.search(r"from the cache, ([\d,]+) tokens", played.text)
    assert tokens is not None
    assert int(tokens[1].replace(",", "")) > 0


def test_the_ledger_and_the_log_agree(played: Performance) -> None:
    """Each call that was not answered from the cache reached the provider once, and once more for each refusal."""
    _, made = numbers(played.text, "Calls the app made")
    _, got = numbers(played.text, "Calls the provider got")
    _, refused = numbers(played.text, "refused by it, 429")
    assert made - 15 + refused < got <= 1.2 * (made - 15) + refused


@pytest.mark.parametrize("cause", CAUSES)
def test_each_mistake_is_named_with_a_remedy(played: Performance, cause: str) -> None:
    found = re.search(rf"^   \S.*   {re.escape(cause)}\n(.*\n)+?   Do: \S", played.text, re.MULTILINE)
    assert found is not None, played.text


def test_a_cut_stream_and_an_unknown_host_are_named(played: Performance) -> None:
    """Which cause it is depends on how the cut looked and on the resolver of this machine."""
    assert re.search(r"service\.stream_truncated|network\.stream_interrupted", played.text)
    assert re.search(r"network\.dns_\w+|dns\.\w+", played.text)


def test_a_pipe_gets_plain_text_and_every_call(played: Performance) -> None:
    """No control codes; one line for each call."""
    assert "\x1b" not in played.text
    assert max(map(len, played.text.splitlines())) <= 100
    _, made = numbers(played.text, "Calls the app made")
    lines = re.findall(r"^   \d\d:\d\d:\d\d ", played.text, re.MULTILINE)
    assert len(lines) == made + 7


def test_nothing_stays_behind(played: Performance) -> None:
    assert played.children()
    assert not played.left_over()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("whygate demo", signal.SIGINT),
        ("1  Without", signal.SIGTERM),
        ("2  Through", signal.SIGINT),
        ("3  Mistakes", signal.SIGHUP),
    ],
)
def test_a_signal_ends_everything(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    """At whatever moment it comes."""
    with performance(tmp_path) as running:
        running.until(moment)
        assert running.end(number) == 128 + number
        assert "Traceback" not in running.text
        assert not running.left_over()


def test_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    """Nobody can clean up after SIGKILL, but the gateway notices."""
    with performance(tmp_path) as running:
        running.until("2  Through")
        assert running.children()
        running.end(signal.SIGKILL)
        wait_for(lambda: not [x for x in running.left_over() if isinstance(x, psutil.Process)], 20)


def test_keep_leaves_the_page_open_until_ctrl_c(tmp_path: Path) -> None:
    with performance(tmp_path, "--keep") as running:
        text = running.until("Try  whygate run --state")
        link = re.search(r"Page +(http://127\.0\.0\.1:\d+/\?token=\S+)", text)
        assert link is not None
        assert httpx2.get(link[1], follow_redirects=True, trust_env=False).status_code == 200
        assert running.end(signal.SIGINT) == 0
        assert not running.left_over()


def test_ctrl_c_in_a_terminal_restores_it(tmp_path: Path) -> None:
    """The table is drawn in place, and ^C reaches us as a terminal sends it."""
    (tmp_path / "temporary").mkdir()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND],
        cwd=ROOT, env=surroundings(tmp_path / "temporary", TERM="xterm-256color"),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509  (it becomes the controlling terminal)
    )  # fmt: skip
    os.close(theirs)
    try:
        seen = b""
        while b"queued" not in seen:
            seen += os.read(ours, 65536)
        os.write(ours, b"\x03")
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:
            pass  # that is how Linux tells that the other side has closed
        assert process.wait(15) == 130
        assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
        assert b"Traceback" not in seen
        assert not list((tmp_path / "temporary").iterdir())
    finally:
        end_group(process.pid)
        process.wait(5)
        os.close(ours)
