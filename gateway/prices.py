"""What a call costs, by the providers' public price lists. `prices.csv` is read once, at the first question.

A row gives US dollars per million tokens. The first row that fits wins: its ``model`` is a glob, and a name with a
whole date at its end fits as the same name without one, too. Where a price depends on the hour, on how long a prompt is
or on the service tier, the standard tier's lowest stands here, so that what was saved is not overstated; discounts for
a prompt that the provider has in its own cache are not known here. The figures are those that genai-prices 0.2.3
(pydantic, MIT) had of the pages named in ``source``.

A provider that resells others' models (OpenRouter), names deployments as one likes (Azure) or has another list for each
country (Z.AI) has no rows: nothing is known then, and nothing is guessed.
"""

import csv
import re
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

_COLUMNS = ["provider", "model", "input_usd", "output_usd", "source", "read"]
_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8})$")
_MILLION = 1_000_000


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


@cache
def prices() -> tuple[Price, ...]:
    """Give all rows, in the order in which they are tried.

    Raises:
        ValueError: The table is not as it has to be; it ships with the program, so a test finds that.
    """
    text = resources.files("gateway").joinpath("prices.csv").read_text("utf-8")
    header, *rows = csv.reader(text.splitlines())
    if header != _COLUMNS:
        raise ValueError(f"prices.csv: expected the columns {_COLUMNS}, not {header}")
    return tuple(
        Price(provider, model, float(input_usd), float(output_usd), source, read)
        for provider, model, input_usd, output_usd, source, read in rows
    )
