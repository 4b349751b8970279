"""The demo from its first line to its last."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.demo import app
from gateway.demo.board import Board
from gateway.demo.children import gateway, run_app
from gateway.demo.page import Page
from gateway.demo.provider import FAIL_EVERY, PER_SECOND, settings_toml, strict_provider
from gateway.demo.screen import Screen, console_for_people
from gateway.demo.summary import Run, print_comparison, print_failures, saved, tokens_saved
from gateway.simulate import Simulator, serve
from gateway.state import Runtime, State

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128
_TICKETS = app.OPENAI_TICKETS + app.ANTHROPIC_TICKETS
_JOB_CALLS = _TICKETS + 5 * app.REPEATS
_MISTAKES = 7


def play(*, keep: bool) -> int:
    """Run the demo; see `gateway.demo.run_demo`."""
    return asyncio.run(_Play(console_for_people()).main(keep=keep))


class _Play:
    """One performance."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._signal: int | None = None
        self._kept = False

    async def main(self, *, keep: bool) -> int:
        """Play, and clean up whatever happens."""
        with self._signals():
            try:
                await self._play(keep=keep)
            except asyncio.CancelledError:
                if self._signal is None:
                    raise
                # To be ended is what one who keeps it running is told to do.
                return 0 if self._kept else _BY_SIGNAL + self._signal
        return 0

    async def _play(self, *, keep: bool) -> None:
        self._introduce()
        async with AsyncExitStack() as stack:
            # It is filled by children, which may leave a last line in a log while we empty it.
            directory = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="whygate-demo-", ignore_cleanup_errors=True))
            )
            simulator = strict_provider()
            upstream = await stack.enter_async_context(await serve(simulator))
            starting = gateway(directory, settings_toml(upstream.url))
            entering = stack.enter_async_context(starting)
            runtime, alone = await _both(entering, self._alone(simulator, upstream.url))
            through, board = await self._through(simulator, runtime, directory)
            self._conclude(alone, through, board)
            if keep:
                await self._keep(runtime, directory)

    def _introduce(self) -> None:
        self._console.print()
        self._title("whygate demo", f"everything on this machine: no key, no internet, {_JOB_CALLS + _MISTAKES} calls")
        self._tell(
            f"A simulated provider allows each key {PER_SECOND} calls a second, and answers one call in {FAIL_EVERY}"
            f" with 503 or 529 (overloaded). An app has {_TICKETS} prompts to send, all at once, and {_JOB_CALLS - _TICKETS}"
            " that repeat."
        )
        self._console.print()

    async def _alone(self, simulator: Simulator, url: str) -> Run:
        """Let the app do its job straight at the provider."""
        self._title("1  Without whygate", "the app asks the provider itself, and does not retry")
        report = await run_app(
            "job", {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url, "NO_PROXY": "127.0.0.1"}
        )
        run = _run(simulator, report)
        self._tell(f"{report.answered} of {report.calls} calls answered, {run.refused} refused with 429.")
        self._console.print()
        return run
