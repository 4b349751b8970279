"""Limits as the IETF's draft words them, which API gateways and relays send. Total: what cannot be read is left out.

Sources: draft-ietf-httpapi-ratelimit-headers (07 in slides-117-httpapi-ratelimit-policy-proposal, read 2026-11; the
other two from memory, not checked): 11 of May 2026 (``RateLimit-Policy: "default";q=100;w=10``
beside ``RateLimit: "default";r=50;t=30``), 07 of June 2023 (``100;w=60`` beside ``limit=100, remaining=50, reset=5``),
06 of December 2022 (``RateLimit-Limit``, ``-Remaining``, ``-Reset``; a limit may name its policy: ``100, 100;w=60``).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.model.call import Headers
from gateway.model.provider import StatedLimit
from gateway.providers._headers import OPENAI_NAMES, duration, sensible, stated_by, whole

_POLICY, _STATE = b"ratelimit-policy", b"ratelimit"
_LIMIT, _REMAINING, _RESET = b"ratelimit-limit", b"ratelimit-remaining", b"ratelimit-reset"
_DRAFT = frozenset((_POLICY, _STATE, _LIMIT, _REMAINING, _RESET))
_ANY = _DRAFT | {header for name in OPENAI_NAMES for header in name[1:4]}

_VALUE_MAX = 1_000
_ITEMS_MAX = 8
_PIECE = re.compile(rb'(?:"[^"]{0,200}"|[^,";]){1,200}')
_FIELD = re.compile(rb"\b(limit|remaining|reset)=(\d{1,13})(?!\d)")


class _Item(NamedTuple):
    name: bytes
    parameters: dict[bytes, bytes]


class _Policy(NamedTuple):
    kind: str
    limit: int | None
    window_seconds: float | None


def read_any_limits(headers: Headers) -> tuple[StatedLimit, ...]:
    """Read OpenAI's names, and where they are absent those of the draft."""
    index = {name: value for name, value in headers if name in _ANY}
    if not index:
        return ()
    if stated := stated_by(OPENAI_NAMES, index, duration, None):
        return stated
    return () if index.keys().isdisjoint(_DRAFT) else _read_draft(headers)


def _read_draft(headers: Headers) -> tuple[StatedLimit, ...]:
    # Both fields are lists, which may stand in several lines.
    policies = {item.name: _policy(item) for item in _items(_line(headers, _POLICY))}
    state = _line(headers, _STATE)
    fields = {name: whole(number) for name, number in _FIELD.findall(state)}
    if not fields:
        fields = {
            b"limit": whole(_line(headers, _LIMIT).partition(b",")[0].partition(b";")[0]),
            b"remaining": whole(_line(headers, _REMAINING)),
            b"reset": whole(_line(headers, _RESET)),
        }
        policies = policies or {item.name: _policy(item) for item in _items(_line(headers, _LIMIT)) if item.parameters}
    if any(number is not None for number in fields.values()):
        return _one(fields, policies)
    states = {item.name: item.parameters for item in _items(state)}
    stated = (
        _stated(policies.get(name) or _policy(_Item(name, {})), states.get(name, {}))
        for name in dict.fromkeys((*states, *policies))
    )
    return tuple(one for one in stated if one is not None)


def _line(headers: Headers, wanted: bytes) -> bytes:
    return b",".join(value for name, value in headers if name == wanted)[:_VALUE_MAX]


def _one(fields: dict[bytes, int | None], policies: dict[bytes, _Policy]) -> tuple[StatedLimit, ...]:
    """Give the one limit of the older drafts; the policy of the same number says its window."""
    limit, remaining, reset = (fields.get(name) for name in (b"limit", b"remaining", b"reset"))
    if limit == 0 or (limit is None and remaining is None):
        return ()
    policy = next((one for one in policies.values() if one.limit == limit), None)
    return (
        StatedLimit(
            "requests" if policy is None else policy.kind or "requests",
            limit,
            remaining,
            None if reset is None else sensible(float(reset)),
            None if policy is None else policy.window_seconds,
        ),
    )


def _items(value: bytes) -> Iterator[_Item]:
    """Give the items of a structured list: a name (text, token or number) and its parameters."""
    name, parameters, separator = b"", dict[bytes, bytes](), b","
    at, found = 0, 0
    while at < len(value) and found < _ITEMS_MAX:
        piece = _PIECE.match(value, at)
        if piece is not None and separator == b",":
            name, parameters = piece[0].strip().strip(b'"'), {}
        elif piece is not None:
            key, _, text = piece[0].strip().partition(b"=")
            parameters[key] = text.strip(b'"')
        at = at if piece is None else piece.end()
        separator, at = value[at : at + 1], at + 1
        if separator != b";" and name:
            yield _Item(name, parameters)
            name, found = b"", found + 1


def _policy(item: _Item) -> _Policy:
    window = whole(item.parameters.get(b"w"))
    return _Policy(
        kind=_kind(item.parameters.get(b"qu", b"").lower(), item.name.lower()),
        limit=whole(item.parameters.get(b"q", item.name)),
        window_seconds=(sensible(float(window)) or None) if window is not None else None,
    )


def _kind(unit: bytes, name: bytes) -> str:
    """Give what is counted, requests unless unit or name say otherwise; empty for bytes, which we do not count."""
    if b"bytes" in unit:
        return ""
    if b"concurren" in unit:
        return "concurrency"
    said = unit if b"token" in unit else name
    if b"token" not in said:
        return "requests"
    if b"input" in said or b"prompt" in said:
        return "input_tokens"
    return "output_tokens" if b"output" in said or b"completion" in said else "tokens"


def _stated(policy: _Policy, state: dict[bytes, bytes]) -> StatedLimit | None:
    remaining, reset = whole(state.get(b"r")), whole(state.get(b"t"))
    if not policy.kind or policy.limit == 0 or (policy.limit is None and remaining is None):
        return None
    return StatedLimit(
        policy.kind,
        policy.limit,
        remaining,
        None if reset is None else sensible(float(reset)),
        policy.window_seconds,
    )
