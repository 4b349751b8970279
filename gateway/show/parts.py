"""The pieces that everything in a terminal is made of. Renders; prints nothing."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

CALM, GOOD, BUSY, CARE, BAD = "dim", "green", "cyan", "yellow", "red"
_CARE_FAMILIES = ("rate_limit.", "client.")


def tone_of(cause: str) -> str:
    """Give the colour of a failure."""
    return CARE if cause.startswith(_CARE_FAMILIES) else BAD


def heading(words: str) -> Text:
    """Give a heading with a line above it."""
    return Text(f"\n{words}", style="bold")


def item(mark: str, words: str, style: str = "") -> RenderableType:
    """Give an item of a list; what does not fit the line goes on below its beginning."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", width=4, style=CALM)
    grid.add_column(overflow="fold")
    grid.add_row(mark, Text(words, style=style))
    return grid


def steps(words: Iterable[str]) -> list[RenderableType]:
    """Give what to do, the first step first and in green."""
    return [item(f"{number}.", step, GOOD if number == 1 else "") for number, step in enumerate(words, 1)]


def pairs(named: Iterable[tuple[str, str]]) -> Padding:
    """Give names and values beside each other."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=CALM, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in named:
        grid.add_row(Text(name), Text(value))
    return Padding(grid, (0, 0, 0, 2))
