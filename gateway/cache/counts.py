"""What the cache has done since the gateway started, and what that saved."""

from typing import Any

from gateway.model.decision import Label
from gateway.prices import cost

WORDS = ("hit", "stored", "collapsed", "stale", "bypass")
NOT_BOUGHT = frozenset({"hit", "collapsed", "stale"})
"""Words of calls that nobody was paid for."""


class Counts:
    """Sums.

    Attributes:
        results: Finished calls by what the cache did for them.
        saved_calls: Those that were not bought.
        saved_tokens_in: Of those, as far as the answer that was given again tells them.
        saved_tokens_out: The same of the answer.
        saved_usd: What they would have cost, as far as prices are known; see `gateway.prices`.
        unpriced_calls: Those whose price or tokens are not known.
    """

    def __init__(self) -> None:
        self.results = dict.fromkeys(WORDS, 0)
        self.saved_calls = self.saved_tokens_in = self.saved_tokens_out = self.unpriced_calls = 0
        self.saved_usd = 0.0

    def note(self, word: str, about: Label, tokens_in: int | None, tokens_out: int | None) -> None:
        """Count a finished call. A word that is none of `WORDS` counts as nothing."""
        if word not in self.results:
            return
        self.results[word] += 1
        if word not in NOT_BOUGHT:
            return
        self.saved_calls += 1
        self.saved_tokens_in += tokens_in or 0
        self.saved_tokens_out += tokens_out or 0
        usd = cost(about.provider, about.model, tokens_in, tokens_out)
        if usd is None:
            self.unpriced_calls += 1
        else:
            self.saved_usd += usd

    def saved(self) -> dict[str, Any]:
        """Give what was saved, as JSON-ready values; ``usd`` is None when no price is known of any of it."""
        return {
            "calls": self.saved_calls,
            "tokens_in": self.saved_tokens_in,
            "tokens_out": self.saved_tokens_out,
            "usd": self.saved_usd if self.saved_calls > self.unpriced_calls or not self.saved_calls else None,
            "unpriced_calls": self.unpriced_calls,
        }
