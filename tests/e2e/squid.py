"""Squid as the company's proxy: one process, a door for each way to be let in, its own names, its own log."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import trustme

from tests.tools import require_tool

USER, PASSWORD = "jo@firm.test", "p@ss:w/rd?#+ %!ü"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
"""As it stands in a proxy's address."""

NAMES = ("provider.test", "elsewhere.test", "dead.test", "denied.test")
"""Squid alone knows them: whoever reaches them has come through it."""

START_SECONDS = 10.0


class Doors(NamedTuple):
    """Its ports."""

    open: int
    login: int
    tls: int


class Squid:
    """Debian's Squid in the foreground.

    Args:
        via: Whether it says in a request that it passed here.
        authority: Who signs the certificate of the TLS door.
    """

    def __init__(self, authority: trustme.CA, *, via: bool = False) -> None:
        self._binary = require_tool("squid", "apt-get install squid")
        # Squid drops its rights to a user of its own, who may not look into pytest's directories.
        self._directory = Path(tempfile.mkdtemp(prefix="whygate-squid-"))
        self._directory.chmod(0o755)
        self._log = self._directory / "access.log"
        self._log.touch()
        self._log.chmod(0o666)
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        pem = [certificate.private_key_pem.bytes(), *(blob.bytes() for blob in certificate.cert_chain_pems)]
        (self._directory / "tls.pem").write_bytes(b"".join(pem))
        (self._directory / "hosts").write_text(f"127.0.0.1 {' '.join(NAMES)}\n")
        (self._directory / "users").write_text(f"{USER}:{_hashed(PASSWORD)}\n")
        self.talks = via
        self._process: subprocess.Popen[bytes]
        self.doors = Doors(0, 0, 0)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def address(self, login: str | None = None, *, tls: bool = False) -> str:
        """Give the proxy's address as a user writes it; with ``login`` that of the door that asks for one."""
        port = self.doors.tls if tls else self.doors.open if login is None else self.doors.login
        return f"{'https' if tls else 'http'}://{login + '@' if login else ''}localhost:{port}"

    @property
    def asked_for(self) -> list[tuple[int, str, str, str]]:
        """What it was asked, as far as it is done with it: status, method, URL, user."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        rows = [(int(line[3].partition("/")[2]), line[5], line[6], line[7]) for line in lines]
        return [row for row in rows if not row[2].startswith("error:")]

    def stop(self) -> None:
        """End it; its ports refuse from then on."""
        if hasattr(self, "_process") and self._process.poll() is None:
            self._process.kill()  # it has nothing to put in order, and asked politely it takes two seconds
            self._process.wait(5)

    def close(self) -> None:
        """End it and take its files away."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self) -> None:
        for _ in range(3):  # it takes no port 0, so a free one may be gone by the time it asks
            self.doors = Doors(*_free_ports(3))
            (self._directory / "squid.conf").write_text(self._config())
            command = [self._binary, "-N", "-d", "1", "-f", str(self._directory / "squid.conf")]
            with (self._directory / "out.txt").open("wb") as out:
                self._process = subprocess.Popen(command, stdout=out, stderr=out, cwd=self._directory)
            if self._answers():
                return
            self.stop()
        raise RuntimeError((self._directory / "out.txt").read_text())

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                for port in self.doors:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            threading.Event().wait(0.02)
        return False

    def _config(self) -> str:
        at, doors = self._directory, self.doors
        helper = next(iter(Path("/usr").glob("lib*/squid/basic_ncsa_auth")))
        return f"""
http_port 127.0.0.1:{doors.open}
http_port 127.0.0.1:{doors.login}
https_port 127.0.0.1:{doors.tls} tls-cert={at}/tls.pem
visible_hostname squid.test
via {"on" if self.talks else "off"}
forwarded_for {"on" if self.talks else "delete"}
pid_filename none
cache_log /dev/null
access_log stdio:{at}/access.log
buffered_logs off
logfile_rotate 0
cache deny all
netdb_filename none
coredump_dir none
pinger_enable off
hosts_file {at}/hosts
dns_nameservers 127.0.0.1
dns_timeout 1 second
dns_retransmit_interval 1 second
connect_timeout 2 seconds
forward_max_tries 1
shutdown_lifetime 0 seconds
auth_param basic program {helper} {at}/users
auth_param basic children 1
acl login proxy_auth REQUIRED
acl asks localport {doors.login}
acl denied dstdomain denied.test
http_access deny denied
http_access deny asks !login
http_access allow all
"""


@contextlib.contextmanager
def squid(authority: trustme.CA, *, via: bool = False) -> Iterator[Squid]:
    """Run one for as long as it is needed."""
    made = Squid(authority, via=via)
    try:
        yield made
    finally:
        made.close()


def _hashed(password: str) -> str:
    openssl = require_tool("openssl", "apt-get install openssl")
    done = subprocess.run(
        [openssl, "passwd", "-apr1", "-stdin"], input=password.encode(), capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
