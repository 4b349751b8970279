"""Which requests come again and again although no rule of the cache covers them: what it could save. Pure.

Requests are known by their keyed hash alone; nothing of what was asked is kept. Only what a cache would have answered
counts as saved: an equal request within an hour of the one that was bought. Who asks the same several times at once
wants several answers (best of n, self-consistency), or at least cannot be told from someone who does; so does whoever
asks for chance (a temperature above 0). Those are counted apart: a cache would give them one answer every time.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.model.decision import Label
from gateway.model.secret import scrub

VERSION = 1
KEY_BYTES = 32
PROMPTS_MAX = 5_000
GROUP_PROMPTS_MAX = 1_000
"""Of one group: an app whose every prompt is new must not drive out what others repeat."""
TTL_SECONDS = 3_600.0
AT_ONCE_SECONDS = 1.0
"""How long an answer takes where nobody says."""
UNSEEN_SECONDS_MAX = 7 * 86_400.0
SIGHTINGS_MIN = 3
"""Of one prompt, each at another moment, before it is called static."""

_NAME_CHARS = 200
_OUTPUT_WEIGHT = 4
"""Most providers take four to five times as much for a token that is answered as for one that is sent."""
_COUNTS = ("seen", "prompts", "size_bytes", "varied", "moments_max", "calls", "tokens_in", "tokens_out")
_COUNT_MAX = 2**53
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Group(NamedTuple):
    """What prompts of one kind have in common, and what a rule can name."""

    provider: str
    endpoint: str
    model: str
    system_sha256: str


class Suggestion(NamedTuple):
    """A kind of request that is worth a rule.

    Attributes:
        system_sha256: Of the system prompt, hex; empty when there is none.
        seen: Calls.
        prompts: Different ones among them.
        size_bytes: Of the answers to those: what a cache would hold.
        calls: How many of them a cache would have answered.
        tokens_in: Of those, as far as they were told.
        tokens_out: The same of their answers.
        varied: Half of them or more ask for an answer that differs each time, so a cache would take something away.
    """

    provider: str
    endpoint: str
    model: str
    system_sha256: str
    seen: int
    prompts: int
    size_bytes: int
    calls: int
    tokens_in: int
    tokens_out: int
    varied: bool


@dataclass(slots=True)
class _Prompt:
    """One request, however often it came.

    Attributes:
        moments: How often it came, those at once counted as one.
        bought_at: When the answer that a cache would hold was bought.
        last_at: When it came last.
        busy_until: Until when it was being answered.
    """

    group: Group
    moments: int
    bought_at: float
    last_at: float
    busy_until: float = -math.inf


@dataclass(slots=True)
class _Tally:
    """What is known of a group.

    Attributes:
        keys: Its prompts that are still remembered, the one unseen for longest first.
    """

    seen: int = 0
    prompts: int = 0
    size_bytes: int = 0
    varied: int = 0
    moments_max: int = 0
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    keys: OrderedDict[bytes, None] = field(default_factory=OrderedDict)


class Repeats:
    """Counts equal requests. A note costs a few microseconds; there is a bound on all that is kept.

    Attributes:
        notes: How many there were so far: whoever saves sees by it whether something is new.
    """

    def __init__(self) -> None:
        self.notes = 0
        self._prompts: OrderedDict[bytes, _Prompt] = OrderedDict()
        self._groups: dict[Group, _Tally] = {}

    def note(  # noqa: PLR0917 - one caller, with all of it at hand
        self,
        key: bytes,
        about: Label,
        system_sha256: str,
        tokens_in: int | None,
        tokens_out: int | None,
        size_bytes: int,
        now: float,
        temperature: float | None = None,
        ended: float | None = None,
    ) -> None:
        """Take note of a call that was answered well and that no rule covers.

        Args:
            key: Which requests are equal: a keyed hash, 32 bytes.
            system_sha256: Of the system prompt, hex; empty when there is none.
            tokens_in: As the provider told; None when it did not.
            tokens_out: The same of the answer.
            size_bytes: Of the answer.
            now: When the request came, in the cache's own seconds. Notes may come in another order.
            temperature: What the request states; None when it states none.
            ended: When its answer was whole; None for a second later. Who asks again meanwhile asks at once.
        """
        ended = now + AT_ONCE_SECONDS if ended is None else ended
        self.notes += 1
        self._forget(now)
        prompt = self._prompts.get(key)
        if prompt is None:
            group = Group(about.provider, about.endpoint, about.model, system_sha256)
            self._begin(key, group, size_bytes, now, varied=temperature is not None and temperature > 0)
            if (begun := self._prompts.get(key)) is not None:
                begun.busy_until = ended
            return
        tally = self._groups[prompt.group]
        self._prompts.move_to_end(key)
        tally.keys.move_to_end(key)
        tally.seen += 1
        by_chance = temperature is not None and temperature > 0
        at_once = temperature != 0 and now < prompt.busy_until and ended > prompt.last_at
        tally.varied += by_chance or at_once
        prompt.last_at, prompt.busy_until = max(prompt.last_at, now), max(prompt.busy_until, ended)
        if at_once:
            return
        prompt.moments += 1
        tally.moments_max = max(tally.moments_max, prompt.moments)
        if abs(now - prompt.bought_at) >= TTL_SECONDS:
            prompt.bought_at = now
            return
        prompt.bought_at = min(prompt.bought_at, now)
        tally.calls += 1
        tally.tokens_in += tokens_in or 0
        tally.tokens_out += tokens_out or 0

    def suggestions(self, limit: int = 20) -> list[Suggestion]:
        """Give what is worth a rule, the most worthwhile first, those that want chance after all others."""
        found = [
            Suggestion(
                *group,
                tally.seen,
                tally.prompts,
                tally.size_bytes,
                tally.calls,
                tally.tokens_in,
                tally.tokens_out,
                varied=tally.varied * 2 >= tally.seen,
            )
            for group, tally in self._groups.items()
            if tally.calls and tally.moments_max >= SIGHTINGS_MIN
        ]
        return sorted(found, key=_worth)[: max(0, limit)]

    def document(self) -> dict[str, Any]:
        """Give what outlives the process, as JSON-ready values: hashes, names, counts and times."""
        return {"version": VERSION, "groups": [self._group_document(group) for group in self._groups]}

    def restore(self, document: object) -> bool:
        """Begin with what an earlier process has left; False, and nothing is taken over, when it is damaged."""
        try:
            prompts, groups = _restored(document)
        except _DAMAGE:
            return False
        self._prompts, self._groups = prompts, groups
        return True

    def _begin(self, key: bytes, group: Group, size_bytes: int, now: float, *, varied: bool) -> None:
        tally = self._groups.get(group)
        if tally is None:
            if not _is_clean(group):
                return
            tally = self._groups[group] = _Tally()
        while len(tally.keys) >= GROUP_PROMPTS_MAX:
            self._drop(next(iter(tally.keys)))
        while len(self._prompts) >= PROMPTS_MAX:
            self._drop(next(iter(self._prompts)))
        # Making room may have ended the group, when all its prompts were the oldest.
        self._groups[group] = tally
        self._prompts[key] = _Prompt(group, 1, now, now)
        tally.keys[key] = None
        tally.seen += 1
        tally.prompts += 1
        tally.size_bytes += size_bytes
        tally.varied += varied
        tally.moments_max = max(tally.moments_max, 1)

    def _forget(self, now: float) -> None:
        """Drop what nobody has asked for in a week."""
        while self._prompts:
            key, prompt = next(iter(self._prompts.items()))
            if now - prompt.last_at <= UNSEEN_SECONDS_MAX:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        group = self._prompts.pop(key).group
        tally = self._groups[group]
        del tally.keys[key]
        if not tally.keys:
            del self._groups[group]

    def _group_document(self, group: Group) -> dict[str, Any]:
        tally = self._groups[group]
        counts = {name: getattr(tally, name) for name in _COUNTS}
        return counts | {
            "group": list(group),
            "keys": [
                [key.hex(), prompt.moments, prompt.bought_at, prompt.last_at]
                for key in tally.keys
                for prompt in (self._prompts[key],)
            ],
        }


def _worth(one: Suggestion) -> tuple[bool, int, int, Group]:
    tokens = one.tokens_in + _OUTPUT_WEIGHT * one.tokens_out
    return one.varied, -tokens, -one.calls, Group(*one[:4])


def _is_clean(group: Group) -> bool:
    """Whether names are names: nothing overlong, no key in a model's place, nothing that no file can hold."""
    if max(map(len, group)) > _NAME_CHARS or scrub(group.model) != group.model:
        return False
    return group.model.isprintable()


def _restored(document: object) -> tuple[OrderedDict[bytes, _Prompt], dict[Group, _Tally]]:
    """Read a document. Raises one of `_DAMAGE`."""
    if not isinstance(document, dict) or document["version"] != VERSION:
        raise ValueError("another version")
    groups: dict[Group, _Tally] = {}
    prompts: dict[bytes, _Prompt] = {}
    for entry in document["groups"]:
        group = Group(*(_name(part) for part in entry["group"]))
        if group in groups or not _is_clean(group):
            raise ValueError("no group, or one that stands twice")
        tally = groups[group] = _Tally()
        for name in _COUNTS:
            setattr(tally, name, _count(entry[name]))
        for key, prompt in _prompts(entry["keys"], group):
            if key in prompts:
                raise ValueError("a prompt stands twice")
            prompts[key] = prompt
            tally.keys[key] = None
        if not 0 < len(tally.keys) <= GROUP_PROMPTS_MAX:
            raise ValueError("no prompts, or too many")
    if len(prompts) > PROMPTS_MAX:
        raise ValueError("too many prompts")
    return OrderedDict(sorted(prompts.items(), key=lambda item: item[1].last_at)), groups


def _prompts(entries: Any, group: Group) -> Iterator[tuple[bytes, _Prompt]]:
    for text, moments, bought_at, last_at in entries:
        key = bytes.fromhex(text)
        if len(key) != KEY_BYTES:
            raise ValueError("no key")
        yield key, _Prompt(group, _count(moments), _moment(bought_at), _moment(last_at))


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no name")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _COUNT_MAX:
        raise ValueError("no count")
    return value


def _moment(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("no time")
    return float(value)
