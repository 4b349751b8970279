"""What keeps a real gateway from starting is told on one screen: what, where, what to do."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World
from tests.running import CLEAN, ROOT, GatewayProcess


@pytest.fixture
def taken() -> Iterator[str]:
    """Give an address on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def start(state: Path, *arguments: str) -> str:
    """Start a gateway that cannot start; give what it says."""
    words = [sys.executable, "-m", "gateway", "start", "--state", str(state)]
    done = subprocess.run(
        [*words, *arguments], capture_output=True, text=True, cwd=ROOT, env=CLEAN, timeout=30, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 24
    assert "whygate: " in done.stderr
    assert "  where  " in done.stderr
    assert "  do     " in done.stderr
    assert "is ready" not in done.stdout
    return done.stderr


@pytest.mark.parametrize("which", ["--listen", "--page"])
def test_a_port_that_is_taken_is_named_with_another_to_take(tmp_path: Path, taken: str, which: str) -> None:
    other = "--page" if which == "--listen" else "--listen"
    told = start(tmp_path / "state", which, taken, other, "127.0.0.1:0")
    assert f"Port {taken.rpartition(':')[2]} is already in use" in told
    assert f"{which} 127.0.0.1:" in told
    assert not (tmp_path / "state" / "runtime.json").exists()


def test_a_second_gateway_in_a_state_directory_leaves_the_first_alone(world: World) -> None:
    told = start(world.gateway.state, "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0")
    assert str(world.gateway.state) in told
    assert str(world.gateway.process.pid) in told
    assert world.gateway.flows() is not None
    assert (world.gateway.state / "runtime.json").exists()


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_an_authority_that_cannot_be_read_is_named_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    state.mkdir(0o700)
    for file in ("ca.key", "ca.pem"):
        (state / file).write_text("no PEM at all\n")
        (state / file).chmod(0o600 if file == "ca.key" else 0o644)
    if name == "ca.pem":
        from gateway.authority import load_or_create
        from gateway.state import State

        (state / "ca.key").unlink()
        (state / "ca.pem").unlink()
        load_or_create(State.open(state))
        (state / "ca.pem").write_text("no PEM at all\n")
    told = start(state, "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0")
    assert str(state / name) in told
    assert (state / name).read_text() == "no PEM at all\n"


def test_a_log_that_is_no_database_is_kept_aside_and_told(tmp_path: Path) -> None:
    """A damaged log is no reason not to serve; what was in it may still matter to somebody."""
    state = tmp_path / "state"
    state.mkdir(0o700)
    (state / "flows.db").write_bytes(b"this is no database" * 100)
    gateway = GatewayProcess(tmp_path, "")
    try:
        (aside,) = [file for file in state.glob("flows.db*") if file.read_bytes() == b"this is no database" * 100]
        assert str(aside) in gateway.log.read_text()
        assert gateway.flows() == []
    finally:
        gateway.stop()
