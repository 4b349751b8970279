"""The state directory: private or refused; and how a running gateway is found."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.state import Runtime, State, StateError, default_state_dir


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Make a new directory."""
    return State.open(tmp_path / "state")


@pytest.fixture
def page() -> Iterator[str]:
    """Something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def runtime_on(page: str, pid: int | None = None) -> Runtime:
    """Give a gateway whose page is there."""
    return Runtime(pid=pid or os.getpid(), listen="127.0.0.1:1", page=page, token="t/=", started_at="2026-01-01")


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.lstat().st_mode)


def dead_pid() -> int:
    """Give the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_directory_comes_from_the_environment_or_the_platform() -> None:
    """WHYGATE_STATE first."""
    assert default_state_dir({"WHYGATE_STATE": "/x/y"}) == Path("/x/y")
    assert default_state_dir({}).name == "whygate"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_everything_is_private_from_the_start_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Directory 0700, secrets 0600."""
    before = os.umask(umask)
    try:
        state = State.open(tmp_path / "a" / "state")
        state.fingerprint_key()
        runtime_on("127.0.0.1:1").write(state)
        with state.lock(), state.hold_run():
            pass
    finally:
        os.umask(before)
    assert mode(state.directory) == 0o700
    assert {mode(file) for file in state.directory.iterdir()} == {0o600}


@pytest.mark.parametrize("loose", [0o755, 0o710, 0o701, 0o777])
def test_an_open_directory_is_refused_with_the_command_and_left_alone(tmp_path: Path, loose: int) -> None:
    """Never repaired silently: someone may have read it already."""
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(loose)
    with pytest.raises(StateError) as caught:
        State.open(path)
    assert caught.value.fix == f"chmod 700 {path}"
    assert mode(path) == loose


def test_a_link_is_refused(tmp_path: Path) -> None:
    """Someone else could turn it."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StateError, match="symbolic link"):
        State.open(tmp_path / "link")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """And below a file nothing can be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="is a file"):
        State.open(tmp_path / "file")
    with pytest.raises(StateError, match="cannot be made"):
        State.open(tmp_path / "file" / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    """Also when its mode is right."""
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    os.chown(path, 12_345, 12_345)
    with pytest.raises(StateError, match="belongs to another user"):
        State.open(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """With the path."""
    path = tmp_path / "state"
    path.mkdir(mode=0o500)
    with pytest.raises(StateError, match="chmod 700"):
        State.open(path)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Readers leave no directory behind."""
    state = State.open(tmp_path / "none", create=False)
    assert Runtime.read(state) is None
    assert not state.directory.exists()


def test_the_fingerprint_key_is_made_once(state: State) -> None:
    """32 bytes, the same for ever."""
    key = state.fingerprint_key()
    assert len(key) == 32
    assert State.open(state.directory).fingerprint_key() == key


@pytest.mark.parametrize("spoil", ["short", "readable", "link"])
def test_a_spoilt_fingerprint_key_is_refused_and_not_replaced(state: State, spoil: str) -> None:
    """Older rows would lose their key."""
    path = state.fingerprint_key_file
    path.write_bytes(b"x" * (3 if spoil == "short" else 32))
    path.chmod(0o644 if spoil == "readable" else 0o600)
    if spoil == "link":
        path.rename(state.directory / "other")
        path.symlink_to(state.directory / "other")
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        state.fingerprint_key()
    assert str(path) in caught.value.fix
    assert path.read_bytes() == before


def test_a_running_gateway_is_found(state: State, page: str) -> None:
    """What was written is read."""
    runtime = runtime_on(page)
    runtime.write(state)
    assert Runtime.read(state) == runtime
    assert runtime.page_link == f"http://{page}/?token=t%2F%3D"


def test_a_gateway_that_died_or_does_not_listen_is_not_found(state: State, page: str) -> None:
    """Its file may outlive it."""
    runtime_on(page, pid=dead_pid()).write(state)
    assert Runtime.read(state) is None
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"127.0.0.1:{server.getsockname()[1]}"
    runtime_on(gone).write(state)
    assert Runtime.read(state) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1}', "\x00", '{"pid": "1", "listen": 3}'])
def test_a_damaged_runtime_file_means_no_gateway(state: State, text: str) -> None:
    """Never an exception."""
    state.runtime_json.touch(mode=0o600)
    state.runtime_json.write_text(text)
    assert Runtime.read(state) is None


@pytest.mark.parametrize("pid", [-1, 0, 2**70, True, 1.5])
def test_a_senseless_pid_means_no_gateway(state: State, page: str, pid: object) -> None:
    """-1 would be everybody."""
    state.runtime_json.touch(mode=0o600)
    document = {"pid": pid, "listen": "a:1", "page": page, "token": "t", "started_at": ""}
    state.runtime_json.write_text(json.dumps(document))
    found = Runtime.read(state)
    assert found is None


def test_a_runtime_file_that_others_can_read_is_refused(state: State, page: str) -> None:
    """It holds a token, and it says where to send keys."""
    runtime_on(page).write(state)
    state.runtime_json.chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        Runtime.read(state)


def test_a_gateway_removes_only_its_own_file(state: State, page: str) -> None:
    """The next one may have written already."""
    old, new = runtime_on(page), runtime_on(page, pid=1)
    new.write(state)
    old.remove(state)
    assert state.runtime_json.exists()
    new.remove(state)
    new.remove(state)
    assert not state.runtime_json.exists()


def test_one_gateway_a_directory(state: State) -> None:
    """The second is told who holds it."""
    with state.lock():
        assert state.is_locked()
        with pytest.raises(StateError, match=rf"Another gateway \(pid {os.getpid()}\) uses"), state.lock():
            pass
    assert not state.is_locked()
    with state.lock():
        pass


def test_a_killed_gateway_leaves_no_lock(state: State) -> None:
    """The kernel lets go."""
    script = (
        "import sys, time; from pathlib import Path; from gateway.state import State\n"
        "with State.open(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(state.directory)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert state.is_locked()
    process.kill()
    process.wait()
    process.stdout.close()
    with state.lock():
        pass


def test_runs_keep_a_gateway_and_the_last_one_lets_it_go(state: State, page: str) -> None:
    """And its file is gone before a new run can find it."""
    runtime = runtime_on(page)
    runtime.write(state)
    with state.hold_run():
        with state.hold_run():
            assert not state.no_runs(retire=runtime)
        assert not state.no_runs(retire=runtime)
    assert state.runtime_json.exists()
    assert state.no_runs(retire=runtime)
    assert not state.runtime_json.exists()


def test_the_listeners_token_is_in_the_addresses_that_work_and_in_nothing_that_is_shown(
    state: State, page: str
) -> None:
    """And a file of an earlier version, which has none, is read."""
    open_, locked = runtime_on(page), replace(runtime_on(page), listen_token="a-long-random-text")
    assert (open_.proxy_url, open_.base_url) == ("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert locked.proxy_url == "http://whygate:a-long-random-text@127.0.0.1:1"
    assert locked.base_url == "http://127.0.0.1:1/~a-long-random-text"
    assert "random" not in locked.listen_url + repr(locked)
    locked.write(state)
    assert mode(state.runtime_json) == 0o600
    assert Runtime.read(state) == locked
    document = json.loads(state.runtime_json.read_text())
    del document["listen_token"]
    state.runtime_json.write_text(json.dumps(document))
    assert Runtime.read(state) == open_
