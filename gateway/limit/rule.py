"""Limits that somebody configured, and the meters that hold them."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.limit.bucket import Bucket
from gateway.limit.cost import REQUESTS, TOKENS, Meter
from gateway.limit.window import Window

SKEW_SECONDS = 0.02
"""Added to every window: two requests that are sent a second apart may arrive a little closer than that."""

_WINDOWS = (
    ("per_second", REQUESTS, 1.0),
    ("per_minute", REQUESTS, 60.0),
    ("per_hour", REQUESTS, 3_600.0),
    ("per_day", REQUESTS, 86_400.0),
    ("tokens_per_minute", TOKENS, 60.0),
    ("tokens_per_day", TOKENS, 86_400.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """A configured limit for every account of a provider, counted for each model group by itself.

    Attributes:
        provider: Its name, ``*`` for all.
        model: A glob.
        per_second: Requests in any second, None for no such limit; may be broken (0.5 is one in 2 s).
        per_minute: Requests in any minute; likewise per_hour, per_day.
        tokens_per_minute: Input and output together, in any minute; likewise per day.
        concurrency: Requests at the same time.
        burst: Requests that may go at once; the others follow evenly. None lets a whole window go at once.
        together: All models that match count as one.
    """

    provider: str = "*"
    model: str = "*"
    per_second: float | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrency: int | None = None
    burst: int | None = None
    together: bool = False

    def fits(self, provider: str, model: str) -> bool:
        """Whether it is for such calls."""
        return self.provider in {"*", provider} and fnmatchcase(model, self.model)

    @property
    def paces(self) -> bool:
        """Whether it says how many calls may go: then nothing has to be found out slowly."""
        requests = (self.per_second, self.per_minute, self.per_hour, self.per_day, self.concurrency)
        return any(limit is not None for limit in requests)


@dataclass(frozen=True, slots=True)
class Held:
    """A meter of a configured limit. ``seconds`` is the window as it was asked for."""

    kind: str
    limit: float
    seconds: float
    meter: Meter
    burst: float | None = None


def held_by(rule: LimitRule, now: float) -> list[Held]:
    """Make the meters of a rule. A whole rate may come as one burst each second; a broken one is spaced evenly."""
    found = []
    for name, kind, seconds in _WINDOWS:
        amount: float | None = getattr(rule, name)
        if amount is None:
            continue
        limit, length = (amount, seconds) if amount == int(amount) else (1.0, seconds / amount)
        if rule.burst is not None and kind == REQUESTS:
            # The bucket alone would let `burst` more pass in a window.
            bucket = Bucket(min(rule.burst, limit), limit, length + SKEW_SECONDS, now)
            found.append(Held(kind, limit, length, bucket, float(rule.burst)))
        found.append(Held(kind, limit, length, Window(limit, length + SKEW_SECONDS)))
    return found
