"""git through the gateway: a tunnel to somebody else's server, whose own authority stays trusted."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.e2e.world import Row, World
from tests.running import CLEAN, ROOT, GatewayProcess
from tests.tools import require_tool

ADDRESS = "127.0.0.2"
"""Of this machine, and unlike 127.0.0.1 in no NO_PROXY."""


class Served(NamedTuple):
    """A repository at somebody else's, its one commit, and the authority that its user trusts."""

    url: str
    commit: str
    authority: Path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _git(*words: str, cwd: Path) -> str:
    own = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", *author, *words], cwd=cwd, env=CLEAN | own, capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve git's plain protocol: the files of a bare repository over https."""
    require_tool("git", "apt-get install git")
    directory = tmp_path_factory.mktemp("git")
    _git("init", "--quiet", "work", cwd=directory)
    _git("commit", "--quiet", "--allow-empty", "-m", "one", cwd=directory / "work")
    _git("clone", "--quiet", "--bare", "work", "there.git", cwd=directory)
    _git("update-server-info", cwd=directory / "there.git")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "authority.pem")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ADDRESS).configure_cert(serving)
    server = ThreadingHTTPServer((ADDRESS, 0), partial(_Quiet, directory=str(directory)))
    server.socket = serving.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    commit = _git("rev-parse", "HEAD", cwd=directory / "work")
    yield Served(f"https://{ADDRESS}:{server.server_port}/there.git", commit, directory / "authority.pem")
    server.shutdown()
    server.server_close()


def test_git_reaches_a_server_whose_authority_its_user_chose(world: World, served: Served) -> None:
    chosen = {"GIT_SSL_CAINFO": str(served.authority), "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        [*world.run_command(), "git", "ls-remote", served.url, "HEAD"],
        env=CLEAN | chosen, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [served.commit, "HEAD"]
    host = served.url.split("/")[2]

    def look() -> Row | None:
        return next((row for row in world.gateway.flows(kind="tunnel") if row["host"] == host), None)

    row = GatewayProcess.until(look)
    assert (row["status"], row["cause"]) == (200, None)
