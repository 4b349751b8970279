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
from gateway.show.plain import duration, plain

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
        """How many milliseconds calls waited for their turn, those that did."""
        return [row["queue_ms"] for row in self.rows if row["queue_ms"] > 0]


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
    add(
        "  overloaded, 503 or 529",
        str(alone.overloaded),
        str(through.overloaded),
        "red" if through.overloaded else "green",
    )
    add("Calls the provider got", str(alone.upstream_calls), str(through.upstream_calls))
    add("  refused by it, 429", str(alone.upstream_refused), str(through.upstream_refused))
    add("Retries that helped", "-", str(through.retries_that_helped))
    add("Answers from the cache", "-", str(len(through.hits)))
    add("Seconds", f"{alone.report.seconds:.1f}", f"{through.report.seconds:.1f}")
    console.print(Padding(table, (0, 0, 0, 3), expand=False))


def print_saved(console: Console, alone: Run, through: Run) -> None:
    """Say what the app was spared."""
    waited = (
        f"they waited for their turn, {duration(max(through.waited))} at most" if through.waited else "they were paced"
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold green", no_wrap=True)
    table.add_column()
    table.add_row(str(alone.refused - through.refused), f"calls saved from a 429: {waited}")
    table.add_row(str(through.retries_that_helped), "calls saved by a retry that the app did not have to make")
    table.add_row(
        str(len(through.hits)),
        f"calls answered from the cache, {tokens_saved(through.rows):,} tokens not paid for again",
    )
    console.print(Padding(table, (0, 0, 0, 3), expand=False))


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
        title = Text(plain(diagnosis.get("title") or row["cause"]), "bold red")
        title.append(f"   {plain(row['cause'])}", "not bold dim")
        console.print(Padding(title, (0, 0, 0, 3), expand=False))
        if happened := diagnosis.get("what_happened"):
            console.print(Padding(Text(plain(happened)), (0, 0, 0, 3), expand=False))
        if steps := diagnosis.get("what_to_do"):
            grid = Table.grid(padding=(0, 1))
            grid.add_row(Text("Do:", "bold green"), Text(plain(steps[0])))
            console.print(Padding(grid, (0, 0, 0, 3), expand=False))
        console.print()
