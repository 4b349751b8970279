"""What the cache did, and what that saved."""

import pytest

from gateway.cache.counts import Counts
from gateway.model.decision import Label

KNOWN = Label(provider="openai", endpoint="chat.completions", model="gpt-4o-2024-08-06")
UNKNOWN = Label(provider="relay", endpoint="chat.completions", model="house-model")


def test_calls_that_were_not_bought_are_saved_and_others_are_only_counted() -> None:
    counts = Counts()
    for word in ("hit", "hit", "stored", "collapsed", "stale", "bypass", "none"):
        counts.note(word, KNOWN, 1_000, 100)
    assert counts.results == {"hit": 2, "stored": 1, "collapsed": 1, "stale": 1, "bypass": 1}
    assert counts.saved() == {
        "calls": 4, "tokens_in": 4_000, "tokens_out": 400, "usd": pytest.approx(4 * 0.0035), "unpriced_calls": 0,
    }  # fmt: skip


def test_a_price_that_nobody_knows_is_told_as_that() -> None:
    counts = Counts()
    assert counts.saved()["usd"] == 0.0
    counts.note("hit", UNKNOWN, 1_000, 100)
    counts.note("hit", KNOWN, None, 100)
    assert counts.saved() == {"calls": 2, "tokens_in": 1_000, "tokens_out": 200, "usd": None, "unpriced_calls": 2}
    counts.note("hit", KNOWN, 1_000, 0)
    assert (counts.saved()["usd"], counts.saved()["unpriced_calls"]) == (pytest.approx(0.0025), 2)
