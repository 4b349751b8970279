"""The demo from its first line to its last."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.demo import app
from gateway.demo.board import Board
from gateway.demo.children import DemoError, Report, gateway, run_app
from gateway.demo.page import Page
from gateway.demo.provider import FAIL_EVERY, PER_SECOND, settings_toml, strict_provider
from gateway.demo.screen import Screen, console_for_people
from gateway.demo.summary import Run, print_comparison, print_failures, print_saved
from gateway.simulate import Simulator, serve
from gateway.state import Runtime, State

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128
_TICKETS = app.OPENAI_TICKETS + app.ANTHROPIC_TICKETS
_JOB_CALLS = _TICKETS + 5 * app.REPEATS
_MISTAKES = 7
_SETTLE_SECONDS = 3.0
_POLL_SECONDS = 0.05


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
            simulator = strict_provider()
            try:
                # It is filled by children, which may leave a last line in a log while we empty it.
                temporary = tempfile.TemporaryDirectory(prefix="whygate-demo-", ignore_cleanup_errors=True)
                directory = Path(stack.enter_context(temporary))
                upstream = await stack.enter_async_context(await serve(simulator))
            except OSError as exc:
                what = "The demo needs a temporary directory and a free port of 127.0.0.1, and did not get them"
                raise DemoError(what, str(exc), "Free some space, or name another directory with TMPDIR.") from exc
            starting = gateway(directory, settings_toml(upstream.url))
            entering = stack.enter_async_context(starting)
            runtime, alone = await _both(entering, self._alone(simulator, upstream.url))
            through, board = await self._through(simulator, runtime, directory)
            self._conclude(alone, through, board)
            if keep:
                await self._keep(runtime, directory)

    def _introduce(self) -> None:
        self._console.print()
        self._title("whygate demo", "no key, no internet: everything runs on this machine")
        self._tell(
            f"A simulated provider allows each key {PER_SECOND} calls a second, and answers one call in {FAIL_EVERY}"
            f' with "overloaded". An app sends {_TICKETS} prompts at once, then {_JOB_CALLS - _TICKETS} that repeat.'
        )
        self._console.print()

    async def _alone(self, simulator: Simulator, url: str) -> Run:
        """Let the app do its job straight at the provider."""
        self._title("1  Without whygate", "the app asks the provider directly")
        report = await run_app(
            "job", {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url, "NO_PROXY": "127.0.0.1"}
        )
        run = _run(simulator, report)
        self._result(run)
        return run

    async def _through(self, simulator: Simulator, runtime: Runtime, directory: Path) -> tuple[Run, Board]:
        """Let the app do its job through the gateway, then make its mistakes."""
        simulator.reset()
        board = Board()
        screen = Screen(self._console, board, time.monotonic)
        environment = {
            "HTTPS_PROXY": runtime.proxy_url,
            "SSL_CERT_FILE": str(State.open(directory / "state").ca_pem),
        }
        async with Page(runtime, board, time.monotonic) as page, _beside(page.follow()):
            self._title("2  Through whygate", "the same app; only HTTPS_PROXY and SSL_CERT_FILE are set")
            async with screen.showing(_JOB_CALLS):
                report = await run_app("job", environment)
                await _settled(page, board)
            run = _run(simulator, report, board)
            self._result(run)
            self._title("3  Mistakes", f"{_MISTAKES} calls that cannot succeed, each for another reason")
            async with screen.showing(_MISTAKES):
                await run_app("mistakes", environment)
                await _settled(page, board)
        self._console.print()
        return run, board

    def _conclude(self, alone: Run, through: Run, board: Board) -> None:
        console = self._console
        print_failures(console, board.rows)
        self._title("What changed")
        console.print()
        print_comparison(console, alone, through)
        console.print()
        print_saved(console, alone, through)
        console.print()
        self._title("Use it for your own app")
        self._tell("whygate run -- python app.py     for one command, with nothing changed in it")
        self._tell("whygate start                    for as long as you like, with a status page")
        console.print()

    async def _keep(self, runtime: Runtime, directory: Path) -> None:
        self._title("Still running", "until Ctrl-C")
        for name, text in (
            ("Page", runtime.page_link),
            ("Try", f"whygate run --state {directory / 'state'} -- python app.py"),
        ):
            # Neither a link nor a command may be broken into two lines.
            self._console.print(Text.assemble("   ", (f"{name:<5}", "bold"), text), soft_wrap=True)
        self._console.print()
        self._kept = True
        await asyncio.Event().wait()

    def _result(self, run: Run) -> None:
        report = run.report
        good, bad = "bold green", "bold red"
        told = Text.assemble(
            (f"{report.answered} of {report.calls} calls answered", good if report.answered == report.calls else bad),
            f", {run.refused} refused with 429, in {report.seconds:.1f} s.",
        )
        self._tell(told)
        self._console.print()

    def _title(self, title: str, rest: str = "") -> None:
        self._console.print(Text.assemble((title, "bold"), f"   {rest}" if rest else ""))

    def _tell(self, text: str | Text) -> None:
        self._console.print(Padding(Text.assemble(text), (0, 0, 0, 3), expand=False))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the first signal end the demo; further ones find it cleaning up already."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def end(number: int) -> None:
            if self._signal is None:
                self._signal = number
                task.cancel()

        # One that is ignored (nohup) stays ignored.
        handled = [number for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN]
        for number in handled:
            loop.add_signal_handler(number, end, number)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)


def _run(simulator: Simulator, report: Report, board: Board | None = None) -> Run:
    ledger = simulator.ledger
    return Run(
        report=report,
        upstream_calls=ledger.calls,
        upstream_refused=ledger.by_status[429],
        rows=board.rows if board is not None else (),
    )


async def _settled(page: Page, board: Board) -> None:
    """Wait until the board knows how every call ended; the log is at most a moment behind the app."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE_SECONDS):
            await page.catch_up()
            while not all(seen.done for seen in board.seen.values()):
                await asyncio.sleep(_POLL_SECONDS)
                await page.catch_up()


async def _both[A, B](first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Do two things at once; when one fails, the other is ended and its failure is ours."""
    try:
        async with asyncio.TaskGroup() as tasks:
            one, other = tasks.create_task(first), tasks.create_task(second)
    except* DemoError as errors:
        raise errors.exceptions[0] from errors
    return one.result(), other.result()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something in the background, whose end or failure stops nothing: what it missed is read again at the end."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
