"""Failures as data: the type of one, how its file is read, how a call asks for it."""

import html
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from importlib import resources
from string import Template
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway.simulate.provider import Provider

MODEL_PREFIX = "simulate:"
HEADER = "x-simulate"

_FOLDER = "failures"
_ANY = "any"
# A table that names another has all of it that it does not say itself.
_LIKE = "like"
_KEYS = frozenset(
    {
        "status",
        "headers",
        "body",
        "body_too_large",
        "values",
        "source",
        "behaviour",
        "after_events",
        "seconds",
        "times",
        "identity",
        _LIKE,
    }
)
# For placeholders that neither the call nor the file gives: an imaginary limit that is free again in one second.
_DEFAULT_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "limit": "60",
        "used": "60",
        "requested": "1",
        "unit": "requests per min (RPM)",
        "unit_words": "requests per minute",
        "wait": "1s",
        "wait_seconds": "1",
        "wait_ms": "1000",
        "param": "messages",
    }
)
_MAX_SECONDS = 3_600.0
_MAX_TIMES = 1_000_000


class Behaviour(StrEnum):
    """What happens on the wire. All but ``ANSWER`` and ``REFUSE_TIMES`` also use the normal answer."""

    ANSWER = "answer"
    RESET = "reset"
    CLOSE_BEFORE_HEAD = "close_before_head"
    TRUNCATE_BODY = "truncate_body"
    TRUNCATE_STREAM = "truncate_stream"
    CLEAN_END_WITHOUT_MARK = "clean_end_without_mark"
    STALL = "stall"
    ERROR_EVENT = "error_event"
    SLOW_FIRST_BYTE = "slow_first_byte"
    REFUSE_TIMES = "refuse_times"
    MALFORMED_HEAD = "malformed_head"


_BREAK_CONTENT = frozenset(
    {Behaviour.TRUNCATE_BODY, Behaviour.TRUNCATE_STREAM, Behaviour.CLEAN_END_WITHOUT_MARK, Behaviour.ERROR_EVENT}
)


class Identity(StrEnum):
    """Which of a provider's headers an answer carries, so: how far the call came."""

    FULL = "full"
    EARLY = "early"
    EDGE = "edge"
    NONE = "none"


class UnknownFailureError(ValueError):
    """A call asked for a failure that does not exist, or with parameters that make no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One cause as one provider shows it.

    Attributes:
        cause: Slug; the name of the file.
        status: HTTP status; ``None`` for a failure that is not an answer.
        headers: Added to the provider's own; values may hold ``$placeholders``.
        body: Body, or the data of an ``error_event``, or the raw bytes of a ``malformed_head``.
        body_too_large: Body when the call exceeds the whole limit; empty means the same as ``body``.
        values: Defaults of the placeholders; what is known of the call itself wins.
        after_events: Content events before the break. ``None`` breaks before the head, 0 right after it.
        seconds: Length of the silence of ``stall`` and ``slow_first_byte``.
        times: Fail only the first calls with this key, model and body; ``None`` fails all.
        source: Where the wording is documented.
    """

    cause: str
    behaviour: Behaviour
    identity: Identity
    source: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    body_too_large: str = ""
    values: Mapping[str, str] = MappingProxyType({})
    after_events: int | None = None
    seconds: float = 0.0
    times: int | None = None

    @property
    def breaks_content(self) -> bool:
        """Whether it befalls an answer that has begun, and so cannot be what becomes of an upgrade."""
        return self.after_events is not None or self.behaviour in _BREAK_CONTENT

    @property
    def content_type(self) -> str:
        """Media type of the body, from the headers; JSON when they do not say."""
        found = (value for name, value in self.headers if name == "content-type")
        return next(found, "application/json")

    def rendered_headers(self, values: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the headers with their placeholders filled."""
        known = {**_DEFAULT_VALUES, **self.values, **values}
        return [(name, Template(text).safe_substitute(known)) for name, text in self.headers]

    def rendered_body(self, values: Mapping[str, str], *, too_large: bool = False) -> bytes:
        """Return the body with its placeholders filled, each escaped for the body's media type."""
        known = {**_DEFAULT_VALUES, **self.values, **values}
        escape = _escape_json if "json" in self.content_type else html.escape
        template = Template(self.body_too_large if too_large and self.body_too_large else self.body)
        return template.safe_substitute({name: escape(text) for name, text in known.items()}).encode()


def known_failures() -> tuple[str, ...]:
    """Return the slugs that can be asked for, sorted."""
    return tuple(sorted({cause for cause, _ in _catalogue()}))


def find(cause: str, provider: Provider) -> Failure:
    """Return a cause as this provider shows it.

    Raises:
        UnknownFailureError: There is no such cause, or this provider does not show it.
    """
    failure = _catalogue().get((cause, provider))
    if failure is None:
        here = sorted(slug for slug, whose in _catalogue() if whose is provider)
        near = get_close_matches(cause, here)
        meant = f" Perhaps {' or '.join(near)}?" if near else ""
        message = f"Cannot simulate {cause!r} as {provider}.{meant} All causes: whygate explain."
        raise UnknownFailureError(message)
    return failure


def asked_failure(request: str, provider: Provider) -> Failure:
    """Return the failure that ``cause?name=value&...`` asks for.

    Raises:
        UnknownFailureError: Unknown cause or parameter, or a value that cannot be used.
    """
    cause, _, query = request.strip().partition("?")
    failure = find(cause, provider)
    for name, text in parse_qsl(query, keep_blank_values=True):
        try:
            failure = _with_parameter(failure, name, text)
        except ValueError as exc:
            message = f"Cannot simulate {request!r}: {name}={text} is not understood."
            raise UnknownFailureError(message) from exc
    return failure


def _with_parameter(failure: Failure, name: str, text: str) -> Failure:
    match name:
        case "times":
            return replace(failure, times=_within(int(text), _MAX_TIMES))
        case "after_events":
            return replace(failure, after_events=_within(int(text), _MAX_TIMES))
        case "seconds":
            return replace(failure, seconds=_within(float(text), _MAX_SECONDS))
        case "behaviour":
            return replace(failure, behaviour=Behaviour(text))
        case _:
            raise ValueError(name)


def _within[T: (int, float)](number: T, ceiling: float) -> T:
    if not 0 <= number <= ceiling:
        raise ValueError(number)
    return number


def _escape_json(text: str) -> str:
    return orjson.dumps(text).decode()[1:-1]


@cache
def _catalogue() -> Mapping[tuple[str, Provider], Failure]:
    found: dict[tuple[str, Provider], Failure] = {}
    for entry in resources.files("gateway.simulate").joinpath(_FOLDER).iterdir():
        if not entry.name.endswith(".toml"):
            continue
        cause = entry.name.removesuffix(".toml")
        tables = tomllib.loads(entry.read_text(encoding="utf-8"))
        for provider in Provider:
            table = tables.get(provider.value, tables.get(_ANY))
            if table is not None:
                found[cause, provider] = _read(cause, tables.get(table.get(_LIKE), {}) | table)
        if unknown := set(tables) - {provider.value for provider in Provider} - {_ANY}:
            message = f"{entry.name}: unknown tables {sorted(unknown)}"
            raise ValueError(message)
    return MappingProxyType(found)


def _read(cause: str, table: Mapping[str, Any]) -> Failure:
    """Build a failure from its table. A mistake in a shipped file must not wait for the call that meets it."""
    if unknown := set(table) - _KEYS:
        message = f"{cause}: unknown keys {sorted(unknown)}"
        raise ValueError(message)
    headers = tuple((name.lower(), str(text)) for name, text in table.get("headers", {}).items())
    return Failure(
        cause=cause,
        behaviour=Behaviour(table.get("behaviour", "answer")),
        identity=Identity(table.get("identity", "full")),
        source=table["source"],
        status=table.get("status"),
        headers=headers,
        body=table.get("body", ""),
        body_too_large=table.get("body_too_large", ""),
        values=MappingProxyType({name: str(text) for name, text in table.get("values", {}).items()}),
        after_events=table.get("after_events"),
        seconds=float(table.get("seconds", 0.0)),
        times=table.get("times"),
    )
