"""What holds a call back, in numbers and in words."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.limit.cost import REQUESTS
from gateway.limit.learn import Learned
from gateway.limit.rule import Held
from gateway.limit.shared import Question, Turn

_SPANS = {1.0: "second", 60.0: "minute", 3_600.0: "hour", 86_400.0: "day"}
_NAMES = {"input_tokens": "input tokens", "output_tokens": "output tokens"}


class Block(NamedTuple):
    """What holds a call back: for how long at least, and why."""

    seconds: float
    reason: str
    kind: str = ""
    limit: float = 0.0
    window_seconds: float | None = None


FREE = Block(0.0, "")
Why = Callable[[float], Block]


def starting(seconds: float) -> Block:
    """Say that nothing is known yet."""
    return Block(seconds, "no limit is known yet, so calls go out slowly until an answer states one")


def pace(seconds: float) -> Block:
    """Say that a provider without stated limits has refused."""
    return Block(seconds, "the provider has refused calls lately, so they go out more slowly", REQUESTS)


def configured(held: Held, seconds: float) -> Block:
    """Name a configured limit."""
    reason = f"configured limit of {held.limit:,.6g} {_NAMES.get(held.kind, held.kind)} per {span(held.seconds)}"
    return Block(seconds, reason, held.kind, held.limit, held.seconds)


def learned_limit(learned: Learned, seconds: float) -> Block:
    """Name a limit that the provider states."""
    length = learned.shape.seconds if learned.shape is not None else 0.0
    limit = 0.0 if learned.meter is None else learned.meter.limit
    reason = f"the provider's limit of {limit:,.6g} {_NAMES.get(learned.kind, learned.kind)} per {span(length)}"
    return Block(seconds, reason, learned.kind, limit, length)


def shared_limit(question: Question, turn: Turn) -> Block:
    """Name what all gateways together are held by."""
    if turn.why == "limit" and turn.meter is not None:
        meter = question.meters[turn.meter]
        kind = meter.id.partition(":")[0]
        words = f"{meter.limit:,.6g} {kind.replace('_', ' ')} per {span(meter.seconds)}"
        reason = f"limit of {words}, counted by all gateways together"
        return Block(turn.wait_seconds, reason, kind, meter.limit, meter.seconds)
    if turn.why == "concurrency":
        reason = f"limit of {question.most:,} requests at the same time, counted by all gateways together"
        return Block(turn.wait_seconds, reason)
    if turn.why == "pause":
        return Block(turn.wait_seconds, turn.reason)
    return Block(turn.wait_seconds, "others who share the limit are next")


def span(seconds: float) -> str:
    """Give a window's length as people say it."""
    return _SPANS.get(round(seconds, 6), f"{seconds:.3g} s")
