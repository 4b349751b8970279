"""What a call costs, by the providers' public price lists. `prices.csv` is read once, at the first question.

A row gives US dollars per million tokens. The first row that fits wins: its ``model`` is a glob, and a name with a
whole date at its end fits as the same name without one, too. Where a price depends on the hour, on how long a prompt is
or on the service tier, the standard tier's lowest stands here, so that what was saved is not overstated; discounts for
a prompt that the provider has in its own cache are not known here. The figures are those that genai-prices 0.2.3
(pydantic, MIT) had of the pages named in ``source``.

A provider that resells others' models (OpenRouter), names deployments as one likes (Azure) or has another list for each
country (Z.AI) has no rows: nothing is known then, and nothing is guessed. A table of one's own (`read_table`, `use`)
takes the place of this one for the whole process.
"""

import csv
import math
import re
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

_COLUMNS = ["provider", "model", "input_usd", "output_usd", "source", "read"]
_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8})$")
_MILLION = 1_000_000
_TABLE_BYTES_MAX = 4_194_304
_own: list[tuple["Price", ...]] = []


class TableError(ValueError):
    """A table of prices that cannot be used; the message says which line, and what is expected there."""


class Price(NamedTuple):
    """A row.

    Attributes:
        provider: Our name of it.
        model: A glob, as `fnmatch.fnmatchcase` reads it.
        input_usd: US dollars per million tokens that are sent.
        output_usd: US dollars per million tokens that are answered; 0 where answers cost nothing (embeddings).
        source: Where the figures stand.
        read: ISO date on which they were read.
    """

    provider: str
    model: str
    input_usd: float
    output_usd: float
    source: str
    read: str


def cost(provider: str, model: str, tokens_in: int | None, tokens_out: int | None) -> float | None:
    """Give what a call costs in US dollars; None when its price or one of the counts that matter is not known."""
    price = find(provider, model)
    if price is None or tokens_in is None or (tokens_out is None and price.output_usd):
        return None
    return (tokens_in * price.input_usd + (tokens_out or 0) * price.output_usd) / _MILLION


@lru_cache(maxsize=1_024)
def find(provider: str, model: str) -> Price | None:
    """Give the row that says what a model costs, None when none does."""
    name = model.removeprefix("models/")
    names = {name, _DATE.sub("", name)}
    return next(
        (
            price
            for price in prices()
            if price.provider == provider and any(fnmatchcase(each, price.model) for each in names)
        ),
        None,
    )


def prices() -> tuple[Price, ...]:
    """Give all rows that are in force, in the order in which they are tried."""
    return _own[0] if _own else _shipped()


def use(rows: tuple[Price, ...] | None) -> None:
    """Put a table in the place of the one that ships with the program; None puts that one back."""
    _own[:] = [] if rows is None else [rows]
    find.cache_clear()


def read_table(path: Path) -> tuple[Price, ...]:
    """Read a table of one's own.

    Raises:
        TableError: It cannot be read, or a line of it is not as it has to be.
    """
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(_TABLE_BYTES_MAX + 1).decode("utf-8-sig")
    except OSError as error:
        raise TableError(f"a file that can be read ({error.strerror or type(error).__name__})") from error
    except UnicodeDecodeError as error:
        raise TableError("a text in UTF-8") from error
    if len(text) > _TABLE_BYTES_MAX:
        raise TableError(f"at most {_TABLE_BYTES_MAX:,} bytes")
    return _rows(text)


@cache
def _shipped() -> tuple[Price, ...]:
    # It ships with the program, so a test finds what is wrong with it.
    return _rows(resources.files("gateway").joinpath("prices.csv").read_text("utf-8"))


def _rows(text: str) -> tuple[Price, ...]:
    reader = csv.reader(text.splitlines(), strict=True)
    found: list[Price] = []
    try:
        if (header := next(reader, [])) != _COLUMNS:
            raise TableError(f"line 1: expected the columns {','.join(_COLUMNS)}")
        found.extend(_row(cells, reader.line_num) for cells in reader if cells)
    except csv.Error as error:
        raise TableError(f"line {reader.line_num}: expected comma-separated values ({error})") from error
    if not found:
        raise TableError(f"at least one row below {','.join(header)}")
    return tuple(found)


def _row(cells: list[str], line: int) -> Price:
    if len(cells) != len(_COLUMNS):
        raise TableError(f"line {line}: expected {len(_COLUMNS)} columns, found {len(cells)}")
    provider, model, input_usd, output_usd, source, read = (cell.strip() for cell in cells)
    if not provider or not model:
        raise TableError(f"line {line}: expected a provider and a model")
    try:
        amounts = float(input_usd), float(output_usd)
    except ValueError:
        amounts = (math.nan, math.nan)
    if not all(math.isfinite(amount) and amount >= 0 for amount in amounts):
        raise TableError(f"line {line}: expected US dollars per million tokens, 0 or more, in input_usd and output_usd")
    try:
        date.fromisoformat(read)
    except ValueError:
        raise TableError(f"line {line}: expected in read the date on which it was read, as 2026-11-22") from None
    return Price(provider, model, *amounts, source, read)
