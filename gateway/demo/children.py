"""The demo's two child processes: a real gateway in a directory of its own, and the app that is sent through it.

Neither sees the proxies, keys and settings that the user's own environment may hold. Should the demo be killed without
a chance to clean up, the gateway notices that nobody holds ``runs.lock`` any more, and ends by itself.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from gateway.state import Runtime, State
from gateway.trust import FILE_VARIABLES

READY_SECONDS = 30.0
APP_SECONDS = 120.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 3.0
_LOG_LINES = 12
_SOURCE = Path(__file__).parents[2]
"""Where children run: a folder named "gateway" where the user stands must not be taken for ours."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_STRANGERS = frozenset({*_PROXIES, *(name.lower() for name in _PROXIES), *FILE_VARIABLES, "SSL_CERT_DIR"})
_STRANGE_PREFIXES = ("WHYGATE_", "OPENAI_", "ANTHROPIC_")


class DemoError(Exception):
    """The demo cannot go on.

    Attributes:
        what: One sentence.
        where: A place, or what a child process said.
        fix: What to do.
    """

    def __init__(self, what: str, where: str, fix: str) -> None:
        """Keep the three parts."""
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the app says of its calls. ``by_status`` has 0 for calls that got no status."""

    calls: int
    answered: int
    by_status: Mapping[int, int]
    seconds: float


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """Leave out proxies, certificates, keys and settings."""
    return {
        name: value for name, value in env.items() if name not in _STRANGERS and not name.startswith(_STRANGE_PREFIXES)
    }


@asynccontextmanager
async def gateway(directory: Path, settings: str) -> AsyncIterator[Runtime]:
    """Run a gateway on free ports, with its state, settings and log under ``directory``.

    Raises:
        DemoError: It does not become ready.
    """
    config, log = directory / "gateway.toml", directory / "gateway.log"
    config.write_text(settings)
    state = State.open(directory / "state")
    command = [sys.executable, "-m", "gateway", "start", "--end-with-runs", "--state", str(state.directory)]
    command += ["--config", str(config), "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0"]
    with state.hold_run(), log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=_SOURCE,
            env=clean(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for the demo, which then ends its children in the right order.
            start_new_session=True,
        )
        try:
            yield await _ready(process, state, log)
        finally:
            await _stop(process)


async def run_app(part: str, env: Mapping[str, str]) -> Report:
    """Run one part of the app to its end.

    Args:
        part: ``job`` or ``mistakes``.
        env: What its environment holds beside the user's own, cleaned.

    Raises:
        DemoError: It fails as a program; calls that fail are only counted.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.demo.app", part),
        cwd=_SOURCE,
        env={**clean(os.environ), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(APP_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError as exc:
        what = f"The demo's app did not end within {APP_SECONDS:.0f} s"
        raise DemoError(what, f"pid {process.pid}", "Run it again on a machine that is less busy.") from exc
    finally:
        await _stop(process)
    try:
        told = json.loads(output)
        by_status = {int(status): count for status, count in told.pop("by_status").items()}
        return Report(by_status=by_status, **told)
    except (ValueError, KeyError, TypeError) as exc:
        what = f"The demo's app failed (exit code {process.returncode})"
        raise DemoError(what, _last_lines(errors), "Report this; it is a bug in whygate.") from exc


async def _ready(process: asyncio.subprocess.Process, state: State, log: Path) -> Runtime:
    deadline = time.monotonic() + READY_SECONDS
    async with httpx2.AsyncClient(trust_env=False, timeout=1.0) as client:
        while process.returncode is None and time.monotonic() < deadline:
            runtime = Runtime.read(state)
            if runtime is not None:
                with suppress(httpx2.HTTPError):
                    if (await client.get(f"{runtime.page_url}/readyz")).is_success:
                        return runtime
            await asyncio.sleep(_POLL_SECONDS)
    said = _last_lines(log.read_bytes())  # noqa: ASYNC240  (a few lines, and nothing else goes on)
    if process.returncode is None:
        what = f"The gateway was not ready after {READY_SECONDS:.0f} s"
        raise DemoError(what, said, "Run it again on a machine that is less busy.")
    what = f"The gateway ended while starting (exit code {process.returncode})"
    raise DemoError(what, said, "Put that right and run it again.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a child, by force when it does not listen. Done even if we are cancelled once more meanwhile."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _last_lines(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()[-_LOG_LINES:]
    return "\n         ".join(["It said:", *lines]) if lines else "It said nothing."
