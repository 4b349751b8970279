"""Debian's Squid as the company's proxy, in the namespace: it sits where the way out is open."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import trustme

from tests.e2e.squid import LOGIN, START_SECONDS, Doors, Squid
from tests.network.truth import PROXY, RESOLVER

PORT = 3128
_LISTENS = "0A"


class CompanyProxy(Squid):
    """One at 10.0.0.3:3128. What it does for others comes from that address.

    Args:
        command: Gives the command that runs another one in the namespace.
        pid: A process in the namespace.
        auth: Whether it asks for user and password.
        deny: Names that it refuses.
    """

    def __init__(
        self, command: Callable[[Sequence[str]], list[str]], pid: int, *, auth: bool, deny: Sequence[str]
    ) -> None:
        self._command, self._pid, self._auth, self._deny = command, pid, auth, deny
        super().__init__(trustme.CA(key_type=trustme.KeyType.ECDSA), via=True)

    @property
    def url(self) -> str:
        """Its address without a login."""
        return f"http://{PROXY}:{PORT}"

    @property
    def url_with_login(self) -> str:
        """Its address as somebody writes it who may come in."""
        return f"http://{LOGIN}@{PROXY}:{PORT}"

    def stop(self) -> None:
        """End it with its helpers; its port refuses from then on."""
        if hasattr(self, "_process") and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # what leads into the namespace, and what runs there
            self._process.wait(5)
            deadline = time.monotonic() + START_SECONDS
            while self._listens() and time.monotonic() < deadline:
                threading.Event().wait(0.02)

    def _start(self) -> None:
        self.doors = Doors(PORT, PORT, PORT)
        (self._directory / "squid.conf").write_text(self._config())
        argv = [self._binary, "-N", "-d", "1", "-f", str(self._directory / "squid.conf")]
        with (self._directory / "out.txt").open("wb") as out:
            self._process = subprocess.Popen(
                self._command(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, process_group=0
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._directory / "out.txt").read_text())
            threading.Event().wait(0.02)

    def _listens(self) -> bool:
        rows = [line.split() for line in Path(f"/proc/{self._pid}/net/tcp").read_text().splitlines()[1:]]
        return any(row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == PORT for row in rows)

    def _config(self) -> str:
        lines = super()._config().splitlines()
        ours = [line for line in lines if not line.startswith(_REPLACED)]
        deny = [f"acl denied dstdomain {' '.join(self._deny)}", "http_access deny denied"] if self._deny else []
        login = ["http_access deny !login"] if self._auth else []
        more = [
            f"http_port {PROXY}:{PORT}", f"tcp_outgoing_address {PROXY}", f"dns_nameservers {RESOLVER}",
            f"udp_outgoing_address {PROXY}", "hosts_file none", "dns_v4_first on",
        ]  # fmt: skip
        return "\n".join([*ours, *more, *deny, *login, "http_access allow all", ""])


_REPLACED = ("http_port", "https_port", "dns_nameservers", "hosts_file", "http_access", "acl asks", "acl denied")
