"""What a flow cost, for those who are shown it. The log keeps tokens: prices change, and are looked up when asked."""

from typing import Any

from gateway.cache.counts import NOT_BOUGHT
from gateway.prices import cost

_DECIMALS = 9
"""A thousandth of a millionth of a dollar: what one token of the cheapest model costs is more."""


def priced(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row with ``cost_usd`` and ``saved_usd``: US dollars by the public price lists, None where not known.

    A call that the cache answered cost nothing, and saved what it would have cost. One that a fallback answered was
    bought elsewhere: nothing is known of its price.
    """
    if row.get("fallback"):
        return {**row, "cost_usd": None, "saved_usd": None}
    usd = cost(row["provider"], row["model"], row["tokens_in"], row["tokens_out"])
    usd = None if usd is None else round(usd, _DECIMALS)
    if row["cache"] in NOT_BOUGHT:
        return {**row, "cost_usd": 0.0, "saved_usd": usd}
    return {**row, "cost_usd": usd, "saved_usd": None}
