"""Finding the gateway that runs, or starting one that ends with its last ``whygate run``."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.environment import PROXY_VARIABLES
from gateway.cli.options import config_file, resolve_settings
from gateway.cli.screen import UserError, note
from gateway.settings import Address
from gateway.state import Runtime, State

READY_SECONDS = 15.0
_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 1.0
_LOG_LINES = 15
_STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a gateway to be started should be like: None means the usual."""

    listen: Address | None
    config: Path | None


def find_or_start(state: State, wanted: Wanted) -> Runtime:
    """Give a gateway that is ready.

    Raises:
        UserError: None is, and none could be started.
        StateError: The state directory is unsafe.
        ConfigError: The settings for a new one are wrong.
    """
    deadline = time.monotonic() + READY_SECONDS
    with state.starting():
        while True:
            runtime = Runtime.read(state)
            if runtime is not None:
                return _fitting(runtime, wanted)
            if not state.is_locked():
                return _start(state, wanted, deadline)
            if time.monotonic() > deadline:
                what = f"A gateway holds this state directory, but does not answer after {READY_SECONDS:.0f} s"
                raise UserError(what, str(state.directory), "Stop it, or use another directory: --state DIR.")
            # It is starting, or ending.
            time.sleep(_POLL_SECONDS)  # noqa: TID251  (no event loop here)


def _fitting(runtime: Runtime, wanted: Wanted) -> Runtime:
    if wanted.listen is not None and str(wanted.listen) != runtime.listen:
        what = f"The gateway of this state directory listens on {runtime.listen}, not on {wanted.listen}"
        raise UserError(what, f"pid {runtime.pid}", "Leave --listen out, or give another state directory: --state DIR.")
    if wanted.config is not None:
        note(f"whygate: --config is not used: the gateway that runs already (pid {runtime.pid}) has its own settings.")
    return runtime


def _start(state: State, wanted: Wanted, deadline: float) -> Runtime:
    config = config_file(wanted.config)
    origins = resolve_settings(config, {"listen.address": (str(wanted.listen), "--listen")} if wanted.listen else None)
    listen, page = origins.settings.listen.address, origins.settings.page.address
    if origins.origins["listen.address"] == "default":
        listen = _free(listen)
    elif wanted.listen is not None and _answers(listen):
        what = f"Something listens on {listen}, and it is no gateway of this state directory"
        raise UserError(what, str(state.directory), "Name the state directory of that gateway: --state DIR.")
    if origins.origins["page.address"] == "default":
        page = _free(page)
    command = [sys.executable, "-m", "gateway", "start", "--end-with-runs", "--state", str(state.directory)]
    command += ["--listen", str(listen), "--page", str(page), *(["--config", str(config)] if config else [])]
    log = os.open(state.gateway_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            command,
            # A folder named "gateway" where the user stands must not be taken for ours.
            cwd=Path(__file__).parents[2],
            env=_gateway_environment(os.environ, listen),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in this terminal is for the child alone; the gateway ends with its last run.
            start_new_session=True,
        )
    finally:
        os.close(log)
    return _wait_until_ready(process, state, deadline)


def _wait_until_ready(process: subprocess.Popen[bytes], state: State, deadline: float) -> Runtime:
    try:
        while process.poll() is None and time.monotonic() < deadline:
            runtime = Runtime.read(state)
            if runtime is not None and is_ready(runtime):
                return runtime
            time.sleep(_POLL_SECONDS)  # noqa: TID251  (no event loop here)
    except BaseException:
        # Ctrl-C comes now, or the state is unsafe: nothing of ours may stay behind.
        _stop(process)
        raise
    ended = process.poll()
    _stop(process)
    if ended is None:
        raise _failed(state, f"The gateway was not ready after {READY_SECONDS:.0f} s")
    raise _failed(state, f"The gateway ended while starting (exit code {ended})")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    if process.poll() is None:
        process.kill()


def _failed(state: State, what: str) -> UserError:
    lines = state.gateway_log.read_text(errors="replace").strip().splitlines()[-_LOG_LINES:]
    said = "\n         ".join(["It said:", *lines]) if lines else "It said nothing."
    return UserError(what, said, f"Put that right, or look into {state.gateway_log}.")


def is_ready(runtime: Runtime) -> bool:
    """Ask its page, directly: a proxy variable of the user's must not be asked for it."""
    url = urlsplit(runtime.page_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free(address: Address) -> Address:
    """Give the address when its port is free, else any free port (port 0)."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port that only lingers from the last one counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return Address(address.host, 0)
    return address


def _answers(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=_ANSWER_SECONDS):
            return True
    except OSError:
        return False


def _gateway_environment(env: Mapping[str, str], listen: Address) -> dict[str, str]:
    """Give it the user's environment, with the proxy that it must use itself; but never itself as that proxy."""
    names = [name for name in (*PROXY_VARIABLES, "ALL_PROXY", "all_proxy") if env.get(name)]
    own = {name for name in names if urlsplit(env[name]).netloc.rpartition("@")[2] == str(listen)}
    theirs = [name for name in names if name not in own]
    if theirs:
        hosts = dict.fromkeys(urlsplit(env[name]).hostname or "?" for name in theirs)
        note(f"whygate: {', '.join(theirs)} ({', '.join(hosts)}) is left to the gateway, as its own way out.")
    return {name: value for name, value in env.items() if name not in own}
