"""What a simulated provider can be told, and the knobs one call can turn."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.simulate.provider import HEADER, Provider

MAX_EVENTS = 1_000_000
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_PAUSE_SECONDS = 3_600.0

LONG_MODEL = "simulate-long"
LONG_EVENTS = 200

# What may change while a provider runs; the names are those of SimulatorConfig.
LIMITS = ("requests_per_second", "requests_per_minute", "tokens_per_minute", "burst", "burst_tokens", "concurrency")


class BadKnobError(ValueError):
    """An ``x-simulate-*`` header holds nothing usable; the call is answered with 400."""


class BadLimitError(ValueError):
    """A limit that there is none of, or a value that can be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Everything that can be chosen when a simulated provider is built. Limits of ``None`` are off.

    Attributes:
        requests_per_second: Calls per key in any stretch of 1 second.
        requests_per_minute: Calls per key in any stretch of 60 seconds.
        tokens_per_minute: Input plus output tokens per key in any stretch of 60 seconds.
        burst: Makes the limit of requests a minute a bucket of so many calls that fills continuously, as OpenAI and
            Anthropic run theirs, instead of an exact window.
        burst_tokens: The same of the tokens.
        per_model: Whether a key has these limits for each model by itself, as most providers do; else for all together.
        concurrency: Calls of one key in progress at the same time.
        count_refused: Whether a refused call is counted against the limits of requests, too.
        state_limits: Whether answers carry the headers that tell of the limits.
        retry_after: Whether a refusal by a limit says in a header when to come again.
        fail_every: Every n-th call that would be answered fails instead.
        fail_cause: The failure used by ``fail_every``; it may carry parameters (``service.timeout?seconds=2``).
        first_byte_seconds: Wait before the head of an answer.
        event_interval_seconds: Wait before each content event but the first.
        events: Number of content events of a stream; ``None`` means one per word.
        answer_bytes: Length of the answer's text in bytes of UTF-8; ``None`` means an echo of the prompt.
        max_body_bytes: Larger request bodies are refused with 413.
        clock: Monotonic seconds; moves the limits.
        wall_clock: Seconds since 1970 (UTC); written into answers, headers and the ledger.
    """

    requests_per_second: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    burst: int | None = None
    burst_tokens: int | None = None
    concurrency: int | None = None
    per_model: bool = False
    count_refused: bool = False
    state_limits: bool = True
    retry_after: bool = True
    fail_every: int | None = None
    fail_cause: str = "service.overloaded"
    first_byte_seconds: float = 0.0
    event_interval_seconds: float = 0.0
    events: int | None = None
    answer_bytes: int | None = None
    max_body_bytes: int = 64 * 1024 * 1024
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time

    def counted_by(self, key_hash: str, model: str) -> str:
        """Give what the limits of a call are counted by."""
        return f"{key_hash}/{model}" if self.per_model else key_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Speed and shape of one answer: the configuration, overridden by the call."""

    first_byte_seconds: float
    event_interval_seconds: float
    events: int | None
    answer_bytes: int | None


def knobs_for(config: SimulatorConfig, headers: Mapping[str, str], model: str) -> Knobs:
    """Return the knobs of one call.

    Raises:
        BadKnobError: A header is not a number, is outside the bounds of this module, or names no provider.
    """
    if (value := headers.get(HEADER)) is not None and value not in Provider:
        message = f"{HEADER}: {value!r} is none of {', '.join(Provider)}"
        raise BadKnobError(message)
    knobs = Knobs(
        first_byte_seconds=config.first_byte_seconds,
        event_interval_seconds=config.event_interval_seconds,
        events=LONG_EVENTS if model == LONG_MODEL else config.events,
        answer_bytes=config.answer_bytes,
    )
    if (value := headers.get("x-simulate-events")) is not None:
        knobs = replace(knobs, events=int(_number("x-simulate-events", value, MAX_EVENTS)))
    if (value := headers.get("x-simulate-bytes")) is not None:
        knobs = replace(knobs, answer_bytes=int(_number("x-simulate-bytes", value, MAX_ANSWER_BYTES)))
    if (value := headers.get("x-simulate-interval-ms")) is not None:
        wait_ms = _number("x-simulate-interval-ms", value, MAX_PAUSE_SECONDS * 1_000)
        knobs = replace(knobs, event_interval_seconds=wait_ms / 1_000)
    if (value := headers.get("x-simulate-first-byte-ms")) is not None:
        wait_ms = _number("x-simulate-first-byte-ms", value, MAX_PAUSE_SECONDS * 1_000)
        knobs = replace(knobs, first_byte_seconds=wait_ms / 1_000)
    return knobs


def with_limits(config: SimulatorConfig, wanted: Mapping[str, Any]) -> SimulatorConfig:
    """Return the configuration with these limits changed; ``None`` is off.

    Raises:
        BadLimitError: A name is none of ``LIMITS``, or a value is neither ``None`` nor a whole number from 1.
    """
    if unknown := sorted(set(wanted) - set(LIMITS)):
        message = f"{', '.join(unknown)}: no such limit; there are {', '.join(LIMITS)}"
        raise BadLimitError(message)
    for name, value in wanted.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            message = f"{name}: {value!r} is neither a whole number from 1 nor null"
            raise BadLimitError(message)
    return replace(config, **wanted)


def _number(name: str, text: str, ceiling: float) -> float:
    try:
        number = float(text)
    except ValueError as exc:
        message = f"{name}: {text!r} is not a number"
        raise BadKnobError(message) from exc
    if not 0 <= number <= ceiling:
        message = f"{name}: {text} is not between 0 and {ceiling:g}"
        raise BadKnobError(message)
    return number
