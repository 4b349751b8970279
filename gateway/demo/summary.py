"""What the demo found: the comparison, what was saved, and each failure with its remedy. Pure but for the console."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.demo.board import FROM_CACHE, Row
from gateway.demo.children import Report
from gateway.demo.words import printable

_OVERLOADED = (503, 529)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The job done once.

    Attributes:
        report: What the app says.
        upstream_calls: What reached the provider, from its own ledger.
        upstream_refused: How many of these it refused with 429.
        rows: What the gateway wrote down; none when there was no gateway.
    """

    report: Report
    upstream_calls: int
    upstream_refused: int
    rows: Sequence[Row] = ()

    @property
    def refused(self) -> int:
        """Calls to which the app saw a 429."""
        return self.report.by_status.get(429, 0)

    @property
    def overloaded(self) -> int:
        """Calls to which the app saw that the provider is overloaded."""
        return sum(self.report.by_status.get(status, 0) for status in _OVERLOADED)

    @property
    def retries_that_helped(self) -> int:
        """Calls that were answered after more than one attempt."""
        return sum(len(row["attempts"]) > 1 and not row["cause"] for row in self.rows)

    @property
    def hits(self) -> list[Row]:
        """Calls that were answered from the cache."""
        return [row for row in self.rows if row["cache"] in FROM_CACHE]

    @property
    def waited(self) -> list[float]:
        """How many seconds calls waited for their turn, those that did."""
        return [row["queue_ms"] / 1000 for row in self.rows if row["queue_ms"] > 0]


def print_comparison(console: Console, alone: Run, through: Run) -> None:
    """Print both runs side by side."""
    table = Table(box=None, pad_edge=False, padding=(0, 3), header_style="bold")
    table.add_column("")
    table.add_column("without whygate", justify="right")
    table.add_column("through whygate", justify="right", style="bold")

    def add(name: str, first: str, second: str, good: str = "") -> None:
        table.add_row(name, first, Text(second, good))

    whole = through.report.answered == through.report.calls
    add("Calls the app made", str(alone.report.calls), str(through.report.calls))
    add("  answered", str(alone.report.answered), str(through.report.answered), "green" if whole else "red")
    add("  refused, 429", str(alone.refused), str(through.refused), "red" if through.refused else "green")
    add("  overloaded, 503", str(alone.overloaded), str(through.overloaded), "red" if through.overloaded else "green")
    add("Calls the provider got", str(alone.upstream_calls), str(through.upstream_calls))
    add("  refused by it, 429", str(alone.upstream_refused), str(through.upstream_refused))
    add("Retries that helped", "-", str(through.retries_that_helped))
    add("Answers from the cache", "-", str(len(through.hits)))
    add("Seconds", f"{alone.report.seconds:.1f}", f"{through.report.seconds:.1f}")
    console.print(Padding(table, (0, 0, 0, 3), expand=False))


def saved(alone: Run, through: Run, tokens: int) -> str:
    """Say in one sentence what the app was spared."""
    longest = max(through.waited, default=0.0)
    return (
        f"Saved: {alone.refused - through.refused} calls from a 429 ({len(through.waited)} waited for their turn"
        f" instead, {longest:.1f} s at most), {through.retries_that_helped} by a retry, and {tokens:,} tokens in"
        f" {len(through.hits)} answers from the cache."
    )


def tokens_saved(rows: Sequence[Row]) -> int:
    """Count the tokens of answers from the cache: each at what answers of its kind cost when they were bought."""
    bought: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for row in rows:
        if row["cache"] == "stored":
            bought[_kind(row)].append((row["tokens_in"] or 0) + (row["tokens_out"] or 0))
    return round(sum(fmean(bought[_kind(row)] or [0]) for row in rows if row["cache"] in FROM_CACHE))


def _kind(row: Row) -> tuple[str, str, bool]:
    return row["path"], row["model"], row["stream"]


def print_failures(console: Console, rows: Sequence[Row]) -> None:
    """Print one block for each call that failed: what it is, what happened, the first thing to do."""
    for row in rows:
        if not row["cause"]:
            continue
        diagnosis = row["diagnosis"] or {}
        title = Text(printable(diagnosis.get("title") or row["cause"]), "bold red")
        title.append(f"   {printable(row['cause'])}", "not bold dim")
        console.print(Padding(title, (0, 0, 0, 3), expand=False))
        if happened := diagnosis.get("what_happened"):
            console.print(Padding(Text(printable(happened)), (0, 0, 0, 3), expand=False))
        if steps := diagnosis.get("what_to_do"):
            grid = Table.grid(padding=(0, 1))
            grid.add_row(Text("Do:", "bold green"), Text(printable(steps[0])))
            console.print(Padding(grid, (0, 0, 0, 3), expand=False))
        console.print()
