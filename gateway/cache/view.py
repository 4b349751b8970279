"""What the cache holds, what it saved and what it could save, for people: the document of ``/api/cache``."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from glob import escape
from hashlib import sha256
from json import dumps
from re import sub
from typing import Any, Protocol

from gateway.cache.backend import Contents
from gateway.cache.counts import Counts
from gateway.cache.repeats import TTL_SECONDS, Repeats, Suggestion
from gateway.cache.rule import CacheRule
from gateway.model.decision import Label
from gateway.model.secret import scrub
from gateway.prices import cost

CONTENTS_MAX = 200
"""Kinds of answers in one view: those with the most bytes."""
SUGGESTIONS_MAX = 20


class Shelf(Protocol):
    """What is asked of the cache."""

    @property
    def repeats(self) -> Repeats: ...  # noqa: D102
    @property
    def counts(self) -> Counts: ...  # noqa: D102
    @property
    def backend_name(self) -> str: ...  # noqa: D102
    @property
    def max_bytes(self) -> int: ...  # noqa: D102
    @property
    def degraded(self) -> str | None: ...  # noqa: D102
    @property
    def rules(self) -> Sequence[CacheRule]: ...  # noqa: D102

    async def contents(self) -> Contents | None:
        """Give what there is; None when the store cannot be used now."""
        ...


async def view(shelf: Shelf | None, wall: Callable[[], float] = time.time) -> dict[str, Any]:
    """Give what ``/api/cache`` answers.

    Args:
        shelf: The cache; None when it is off.
        wall: Seconds since the epoch.
    """
    if shelf is None:
        return {"enabled": False}
    held = await shelf.contents()
    return {
        "enabled": True,
        "backend": shelf.backend_name,
        "degraded": shelf.degraded,
        "max_bytes": shelf.max_bytes,
        **(_nothing() if held is None else contents_view(held, wall())),
        "results": dict(shelf.counts.results),
        "saved": shelf.counts.saved(),
        "rules": [_rule(rule) for rule in shelf.rules],
        "suggestions": suggestions_view(shelf.repeats, shelf.rules),
    }


def contents_view(held: Contents, now: float) -> dict[str, Any]:
    """Give what a store holds. ``now`` is in seconds since the epoch."""
    kinds = sorted(held.by_label.items(), key=lambda item: -item[1].size_bytes)[:CONTENTS_MAX]
    return {
        "damaged": held.damaged,
        "entries": held.entries,
        "size_bytes": held.size_bytes,
        "disk_bytes": held.disk_bytes,
        "oldest_seconds": None if held.oldest_at is None else round(max(0.0, now - held.oldest_at), 3),
        "contents": [_names(label) | {"entries": size.entries, "size_bytes": size.size_bytes} for label, size in kinds],
    }


def suggestions_view(repeats: Repeats, rules: Iterable[CacheRule] = ()) -> list[dict[str, Any]]:
    """Give what is worth a rule and has none, each with that rule as TOML."""
    rules = tuple(rules)
    found = (one for one in repeats.suggestions(SUGGESTIONS_MAX) if not any(_covers(rule, one) for rule in rules))
    return [
        one._asdict()
        | {
            "usd": cost(one.provider, one.model, one.tokens_in, one.tokens_out)
            if one.tokens_in or one.tokens_out
            else None,
            "rule": rule_text(one),
        }
        for one in found
    ]


def rule_text(one: Suggestion) -> str:
    """Give the rule that a suggestion comes to, as TOML for the settings file."""
    values: Mapping[str, str] = {
        "name": _toml(_rule_name(one)),
        "provider": _toml(one.provider),
        "endpoint": _toml(one.endpoint),
        "model": _toml(escape(one.model)),
        "system_sha256": f"[{_toml(one.system_sha256)}]" if one.system_sha256 else "",
        "ttl_seconds": f"{TTL_SECONDS:.0f}",
    }
    lines = [f"{name} = {value}" for name, value in values.items() if value not in {"", '""'}]
    return "\n".join(["[[cache.rules]]", *lines, ""])


def _rule_name(one: Suggestion) -> str:
    """Give a name that people can read and that is another for each kind."""
    told = sub(r"[^a-z0-9]+", "-", (one.model or one.endpoint or one.provider).lower()).strip("-")[:40]
    kind = sha256("\0".join(one[:4]).encode()).hexdigest()[:8]
    return f"static-{told}-{kind}" if told else f"static-{kind}"


def _toml(text: str) -> str:
    """Give a TOML string. JSON's differ from it in one character alone."""
    return dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _covers(rule: CacheRule, one: Suggestion) -> bool:
    """Whether a rule takes all requests of a kind, so that none of them comes to `Repeats` any more."""
    named = ((rule.provider, one.provider), (rule.endpoint, one.endpoint), (rule.model, one.model))
    return (
        not (rule.header or rule.match)
        and all(fnmatchcase(text, wanted) for wanted, text in named)
        and (not rule.system_sha256 or one.system_sha256 in rule.system_sha256)
    )


def _rule(rule: CacheRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "provider": rule.provider,
        "endpoint": rule.endpoint,
        "model": rule.model,
        "system_sha256": list(rule.system_sha256),
        # Values may be what a person wrote to keep for themselves: their names tell enough.
        "header": [name.decode("latin-1") for name, _ in rule.header],
        "match": [path for path, _ in rule.match],
        "ttl_seconds": rule.ttl_seconds,
        "shared": rule.shared,
    }


def _names(label: Label) -> dict[str, str]:
    return {
        "provider": label.provider,
        "endpoint": label.endpoint,
        # A lone surrogate cannot be written as JSON.
        "model": scrub(label.model).encode(errors="replace").decode(),
        "rule": label.rule,
        "key": label.key,
    }


def _nothing() -> dict[str, Any]:
    unknown = dict.fromkeys(("damaged", "entries", "size_bytes", "disk_bytes", "oldest_seconds"))
    return {**unknown, "contents": []}
