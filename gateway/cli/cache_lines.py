"""What the cache holds, saved and could save, as lines for a terminal. Renders; prints nothing."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from gateway.cli.amounts import amount_text, size_text, span_text
from gateway.cli.limits import Line
from gateway.show.plain import plain, plain_lines

_CALM, _GOOD, _CARE = "dim", "green", "yellow"
VERBATIM = "none"
"""The style of a line that is to be copied, and so is neither wrapped nor indented."""
_CENT = 0.01
_WORDS = {
    "hit": "answered from the cache",
    "collapsed": "shared the answer of an equal call under way",
    "stale": "given an old answer while the provider failed",
    "stored": "bought and stored",
    "bypass": "bought although it may have been stored",
}
_OFF = "The cache is off, by [cache] enabled in the settings or by --no-cache: every call is bought."
_EMPTY = (
    "Nothing is stored yet. Embeddings, moderations and calls that state a temperature of 0 are stored by themselves;"
    " what else would be worth it: whygate cache suggest"
)
_NO_SUGGESTION = (
    "No request has come three times within an hour yet, beside those that a rule of the cache covers. Run your app"
    " through the gateway and look again; nothing of what it asks is kept, only hashes and counts."
)
_BROAD = "they have no system prompt to be told by, so the rule takes every request of this kind, whatever it asks"
_SAME = "With a rule, equal requests get the same answer until it is an hour old, whatever the model would say now."
_VARIED = (
    "careful: many of these ask for an answer that differs each time (a temperature above 0, or several at once);"
    " with the rule all of them get one answer"
)


def stats_lines(document: Mapping[str, Any]) -> Iterator[Line]:
    """Give the document of ``/api/cache``; what nobody knows without a running gateway is None in it."""
    if not document.get("enabled"):
        yield [(_OFF, "")]
        return
    if document.get("degraded"):
        yield [(f"Cannot be used now, so calls are bought: {plain(document['degraded'], 300)}", _CARE)]
    saved, results = document.get("saved") or {}, document.get("results") or {}
    if saved.get("calls"):
        yield [("Saved since it started: ", ""), (_saved(saved), _GOOD)]
    for word, told in _WORDS.items():
        if results.get(word):
            yield [(f"  {amount_text(results[word])} {_calls(results[word])} {told}", "")]
    if document.get("entries"):
        yield from _held(document)
    elif document.get("entries") == 0 and not saved.get("calls"):
        yield [(_EMPTY, "")]
    if document.get("damaged"):
        yield [(f"{amount_text(document['damaged'])} were found damaged and dropped: look at the disk.", _CARE)]


def _held(document: Mapping[str, Any]) -> Iterator[Line]:
    room = f" of at most {size_text(document['max_bytes'])}" if document.get("max_bytes") else ""
    parts = [f"{_answers(document['entries'])}, {size_text(document['size_bytes'])}{room}"]
    parts += [f"{size_text(document['disk_bytes'])} on the disk"] if document.get("disk_bytes") else []
    age = document.get("oldest_seconds")
    parts += [f"the oldest {span_text(age)} old"] if age is not None else []
    yield [(f"Stored ({plain(document.get('backend') or '', 20)}): {', '.join(parts)}", "")]
    kinds = sorted(document.get("contents") or (), key=_heading)
    for names, several in groupby(kinds, _heading):
        rows = sorted(several, key=lambda row: -row["size_bytes"])
        yield []
        yield [(" ".join(names[:2]).strip(), "bold"), (f"  {names[2]}" if names[2] else "", _CALM)]
        counts, sizes = [_answers(row["entries"]) for row in rows], [size_text(row["size_bytes"]) for row in rows]
        widths = max(map(len, counts)), max(map(len, sizes))
        for row, count, size in zip(rows, counts, sizes, strict=True):
            yield [(f"  {count:>{widths[0]}}  {size:>{widths[1]}}", ""), (f"  {_whose(row)}", _CALM)]


def suggestion_lines(document: Mapping[str, Any], where: str) -> Iterator[Line]:
    """Give what is worth a rule.

    Args:
        document: With ``suggestions``, as in that of ``/api/cache``.
        where: The settings file that the rule goes into, empty when there is none.
    """
    if document.get("enabled") is False:
        yield [(_OFF, "")]
        return
    found = document.get("suggestions") or ()
    if not found:
        yield [(_NO_SUGGESTION, "")]
        return
    for one in found:
        system = f", system prompt {one['system_sha256'][:8]}" if one.get("system_sha256") else ""
        yield [(_heading_text(one), "bold"), (f"  {plain(one.get('endpoint') or '', 60)}{system}", _CALM)]
        yield [(f"  seen {amount_text(one['seen'])} times, would have saved ", ""), (_saved(one), _GOOD)]
        if one.get("prompts", 1) > 1:
            yield [(f"  {amount_text(one['prompts'])} different requests of this kind", _CALM)]
        if not one.get("system_sha256"):
            yield [(f"  {_BROAD}", _CALM)]
        if one.get("varied"):
            yield [(f"  {_VARIED}", _CARE)]
        yield []
        yield from ([(line, VERBATIM)] for line in plain_lines(one["rule"]).splitlines())
        yield []
    yield [(_SAME, "")]
    yield [(f"Add the lines that you want to {where or 'a settings file'}, and start the gateway anew", "")]
    yield [("  whygate start" if where else "  whygate start --config whygate.toml", _GOOD)]


def _saved(saved: Mapping[str, Any]) -> str:
    parts = [f"{amount_text(saved['calls'])} {_calls(saved['calls'])}"]
    tokens = (saved.get("tokens_in") or 0) + (saved.get("tokens_out") or 0)
    parts += [f"{amount_text(tokens)} tokens"] if tokens else []
    if (usd := saved.get("usd")) is not None and tokens:
        unknown = saved.get("unpriced_calls") or 0
        but = f" (without {amount_text(unknown)} {_calls(unknown)} of unknown price)" if unknown else ""
        amount = dollars(usd) if usd < _CENT else f"about {dollars(usd)}"
        parts.append(f"{amount}{but}")
    elif saved.get("calls"):
        parts.append("price not known")
    return ", ".join(parts)


def dollars(usd: float) -> str:
    """Give an amount as people say it: ``$0.04``, ``$1,234``, ``less than $0.01``."""
    if 0 < usd < _CENT:
        return "less than $0.01"
    return f"${usd:,.2f}" if usd < 100 else f"${usd:,.0f}"


def _calls(count: float) -> str:
    return "call" if count == 1 else "calls"


def _answers(count: float) -> str:
    return f"{amount_text(count)} answer{'s' * (count != 1)}"


def _heading(row: Mapping[str, Any]) -> tuple[str, str, str]:
    provider, model, endpoint = (plain(row.get(name) or "", 60) for name in ("provider", "model", "endpoint"))
    return provider, model, endpoint


def _heading_text(row: Mapping[str, Any]) -> str:
    return " ".join(name for name in _heading(row)[:2] if name)


def _whose(row: Mapping[str, Any]) -> str:
    rule = f"by rule {plain(row['rule'], 60)}" if row.get("rule") else ""
    key = f"of key {plain(row['key'], 20)}" if row.get("key") else "for every key"
    return ", ".join(part for part in (rule, key) if part)
