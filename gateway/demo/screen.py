"""What is seen while calls run: a live table in a terminal, one line for each ended call elsewhere."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.demo.board import Board, Row
from gateway.demo.words import what, who, words
from gateway.show.plain import duration
from gateway.show.terminal import line

WIDTH_MAX = 100
ROWS_MAX = 14
_INDENT = 3
_FRAMES_A_SECOND = 10
_AROUND_ROWS = 8
"""Lines of the terminal that are kept for what stands above and below the rows."""

_SEGMENTS = ("answered", "cached", "failed", "under way", "waiting")
_STYLES = dict(zip(_SEGMENTS, ("green", "blue", "red", "cyan", "yellow"), strict=True))


def console_for_people() -> Console:
    """Give the console; wide terminals are not filled, since long lines are hard to read."""
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = min(console.width, WIDTH_MAX)
    return console


def is_live(console: Console) -> bool:
    """Whether a table can be redrawn in place."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


class Screen:
    """Shows one board.

    Args:
        clock: Monotonic seconds, the same as the board's.
    """

    def __init__(self, console: Console, board: Board, clock: Callable[[], float]) -> None:
        self._console, self._board, self._clock = console, board, clock
        self._live = is_live(console)
        self._first_seq = 0
        self._expected = 0
        if not self._live:
            board.on_done = self._print

    @asynccontextmanager
    async def showing(self, expected: int) -> AsyncIterator[None]:
        """Show the calls that begin from now on, while the block runs."""
        self._first_seq = max(self._board.seen, default=-1) + 1
        self._expected = expected
        if not self._live:
            yield
            return
        with Live(console=self._console, get_renderable=self._frame, auto_refresh=False, transient=True) as live:
            drawing = asyncio.get_running_loop().create_task(self._draw(live))
            try:
                yield
            finally:
                drawing.cancel()

    async def _draw(self, live: Live) -> None:
        while True:
            live.refresh()
            await asyncio.sleep(1 / _FRAMES_A_SECOND)

    def _frame(self) -> RenderableType:
        board = Board(seen={seq: seen for seq, seen in self._board.seen.items() if seq >= self._first_seq})
        return frame(board, self._clock(), self._expected, self._console)

    def _print(self, row: Row) -> None:
        self._console.print(Padding(line(row), (0, 0, 0, _INDENT), expand=False))


def frame(board: Board, now: float, expected: int, console: Console) -> RenderableType:
    """Draw a board: a bar over all calls, their numbers, and the rows that say most."""
    room = max(4, min(ROWS_MAX, console.height - _AROUND_ROWS))
    shown, hidden = board.view(room, now)
    counts, mark = _counts(board), "=" if console.options.ascii_only else "━"
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=9, no_wrap=True)
    table.add_column(min_width=9, no_wrap=True)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(min_width=6, no_wrap=True, style="dim")
    table.add_column(ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column(min_width=6, justify="right", no_wrap=True, style="dim")
    table.expand = True
    table.add_row("", "", f"... and {hidden} more wait" if hidden else "", "", "", "", style="dim")
    for seen in shown:
        told = words(seen, now)
        table.add_row(
            Text(told.state, told.style),
            who(seen.row),
            what(seen.row),
            "stream" if seen.row["stream"] else "",
            Text(told.detail, told.style if told.style in {"red", "magenta"} else "dim"),
            duration(seen.row["total_ms"]) if seen.done else "",
        )
    for _ in range(room - len(shown)):
        table.add_row()
    drawn = Group("", _bar(counts, expected, console.width - _INDENT, mark), _numbers(counts), "", table)
    return Padding(drawn, (0, 0, 0, _INDENT))


def _counts(board: Board) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seen in board.seen.values():
        if seen.done:
            counts[words(seen, 0.0).state] += 1
        else:
            counts["waiting" if seen.state in {"queued", "waiting"} else "under way"] += 1
    return counts


def _bar(counts: Counter[str], expected: int, width: int, mark: str) -> Text:
    total = max(expected, counts.total(), 1)
    bar, done = Text(), 0
    drawn = 0
    for name in _SEGMENTS:
        done += counts[name]
        end = done * width // total
        bar.append(mark * (end - drawn), _STYLES[name])
        drawn = end
    return bar.append(mark * (width - drawn), "bright_black")


def _numbers(counts: Counter[str]) -> Text:
    text = Text()
    for name in _SEGMENTS:
        if counts[name] or name in {"answered", "under way", "waiting"}:
            text.append(f"{counts[name]:>3} ", f"bold {_STYLES[name]}")
            text.append(f"{name}   ")
    return text
