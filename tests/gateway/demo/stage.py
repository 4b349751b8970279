"""Running the real demo in a process of its own, in surroundings that it must not mind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.running import CLEAN, ROOT

HOSTILE = {
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "NO_PROXY": "*",
    "SSL_CERT_FILE": "/nonexistent.pem",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "WHYGATE_LISTEN__ADDRESS": "nonsense",
}
"""What a user's own environment may hold; every one of these would break the demo if it were looked at."""

COMMAND = [sys.executable, "-m", "gateway", "demo"]
PATIENCE_SECONDS = 60.0


def surroundings(temporary: Path, **more: str) -> dict[str, str]:
    """Give an environment whose temporary files can be counted afterwards."""
    return CLEAN | HOSTILE | {"TMPDIR": str(temporary), "COLUMNS": "100", **more}


class Performance:
    """A demo that runs; its output is collected in a file."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        self.output = directory / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=ROOT, env=surroundings(self.temporary), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._children: dict[int, psutil.Process] = {}

    @property
    def text(self) -> str:
        """All that was printed so far."""
        return self.output.read_text()

    def until(self, words: str) -> str:
        """Wait until something was printed."""
        wait_for(lambda: words in self.text or self.process.poll() is not None)
        assert words in self.text
        return self.text

    def children(self) -> list[psutil.Process]:
        """All processes below the demo that were ever seen here."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._children[child.pid] = child
        return list(self._children.values())

    def end(self, number: int) -> int:
        """Send a signal and give the exit code."""
        self.children()
        self.process.send_signal(number)
        return self.process.wait(15)

    def left_over(self) -> list[object]:
        """Processes and temporary files that are still there."""
        alive = [child for child in self._children.values() if child.is_running() and child.status() != "zombie"]
        return [*alive, *self.temporary.iterdir()]


@contextlib.contextmanager
def performance(directory: Path, *arguments: str) -> Iterator[Performance]:
    """Run one; whatever a test does, nothing stays behind."""
    running = Performance(directory, *arguments)
    try:
        yield running
    finally:
        for process in running.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        running.process.kill()
        running.process.wait(5)


def wait_for(look: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)  # noqa: TID251


def end_group(pid: int) -> None:
    """Make sure that nothing of a terminal's session lives on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
