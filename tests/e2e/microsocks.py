"""A SOCKS5 proxy as companies run one: Debian's microsocks, behind which names exist that nobody else can find."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.squid import NAMES
from tests.tools import require_tool

USER, PASSWORD = "jo@firm.test", "s:cks/w?rd#+ %!ü"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
"""As it stands in a proxy's address."""

START_SECONDS = 10.0


class Microsocks:
    """The server, in a mount namespace with a list of hosts of its own.

    Args:
        login: Whether it asks for user name and password.
    """

    def __init__(self, *, login: bool) -> None:
        binary = require_tool("microsocks", "apt-get install microsocks")
        inside = [require_tool("unshare", "apt-get install util-linux"), "-m" if os.geteuid() == 0 else "-rm"]
        if subprocess.run([*inside, "true"], capture_output=True, check=False, timeout=START_SECONDS).returncode:
            pytest.skip("this machine lets nobody make a mount namespace")
        self._directory = Path(tempfile.mkdtemp(prefix="whygate-microsocks-"))
        self._log = self._directory / "log.txt"
        (self._directory / "hosts").write_text(f"127.0.0.1 localhost {' '.join(NAMES)}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["-i", "127.0.0.1", "-p", str(self.port), *(["-u", USER, "-P", PASSWORD] if login else [])]
        script = f'mount --bind {self._directory}/hosts /etc/hosts && exec "$@"'
        command = [*inside, "sh", "-c", script, "sh", binary, *options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def address(self, login: str = "", scheme: str = "socks5h") -> str:
        """Give its address as a user writes it."""
        return f"{scheme}://{login + '@' if login else ''}127.0.0.1:{self.port}"

    @property
    def asked_for(self) -> list[str]:
        """Where it was asked to connect to, by name as it was told."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line.rpartition("connected to ")[2] for line in lines if "connected to " in line]

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(5)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            threading.Event().wait(0.02)
        words = f"microsocks did not start: {self._log.read_text()}"
        if os.environ.get("WHYGATE_TEST_REQUIRE_ALL") == "1":
            raise RuntimeError(words)
        pytest.skip(words)  # where no namespaces may be made


@contextlib.contextmanager
def microsocks(*, login: bool = False) -> Iterator[Microsocks]:
    """Run one for as long as it is needed."""
    made = Microsocks(login=login)
    try:
        yield made
    finally:
        made.close()
