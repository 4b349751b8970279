"""Exact sliding windows or token buckets per key, and the headers that tell of them.

Real providers use token buckets, and so do these limits where a burst is given. Without one, a window counts every
call: stricter at the edges, and easily computed by hand.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.simulate.config import SimulatorConfig
from gateway.simulate.provider import Provider

_MAX_KEYS = 10_000
_ROUNDING_SECONDS = 1e-9
_ROUNDING_UNITS = 1e-6
_MINUTE_SECONDS = 60.0

# Shown when a limit is off, so that a client always finds its headers.
_SHOWN_REQUESTS = 10_000
_SHOWN_TOKENS = 2_000_000
_SHOWN_RESET_SECONDS = 0.006


def go_duration(seconds: float) -> str:
    """Write a duration as Go does: ``0s``, ``174ms``, ``1.5s``, ``6m0s``. Rounded up to a millisecond."""
    total_ms = max(0, math.ceil(seconds * 1_000 - 1e-6))
    if total_ms == 0:
        return "0s"
    if total_ms < 1_000:
        return f"{total_ms}ms"
    minutes, rest_ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest_ms / 1_000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


class SlidingWindow:
    """At most ``limit`` units in any stretch of ``length_seconds``."""

    def __init__(self, limit: int, length_seconds: float) -> None:
        """Start empty."""
        self.limit = limit
        self.length_seconds = length_seconds
        self.used = 0
        self._log: deque[tuple[float, int]] = deque()

    def wait_seconds(self, cost: int, now: float) -> float | None:
        """Return how long until ``cost`` fits: 0 means now, ``None`` means never."""
        self._forget(now)
        if cost > self.limit:
            return None
        excess = self.used + cost - self.limit
        wait = 0.0
        for at, units in self._log:
            if excess <= 0:
                break
            excess -= units
            wait = at + self.length_seconds - now
        return wait

    def add(self, cost: int, now: float) -> None:
        """Enter a call."""
        self._log.append((now, cost))
        self.used += cost

    def add_refused(self, cost: int, now: float) -> None:
        """Enter a call that was refused and is counted all the same."""
        self.add(cost, now)

    def remaining(self, now: float) -> int:
        """Return the units that are free now."""
        self._forget(now)
        return max(0, self.limit - self.used)

    def reset_seconds(self, now: float) -> float:
        """Return how long until the window is as if unused."""
        self._forget(now)
        return self._log[-1][0] + self.length_seconds - now if self._log else 0.0

    def _forget(self, now: float) -> None:
        while self._log and self._log[0][0] + self.length_seconds <= now + _ROUNDING_SECONDS:
            self.used -= self._log.popleft()[1]


class TokenBucket:
    """At most ``capacity`` units at once, and ``limit`` a minute in the long run; fills continuously.

    A call larger than the capacity, but not than the limit, passes when the bucket is full, and leaves a debt.
    """

    def __init__(self, limit: int, capacity: int) -> None:
        """Start full."""
        self.limit = limit
        self.capacity = capacity
        self._level = float(capacity)
        self._at = -math.inf

    @property
    def used(self) -> int:
        """Units of the limit that are not free, as a refusal tells them."""
        return self.limit - min(self.limit, max(0, self._whole()))

    def wait_seconds(self, cost: int, now: float) -> float | None:
        """Return how long until ``cost`` fits: 0 means now, ``None`` means never."""
        if cost > self.limit:
            return None
        return self._seconds_to(min(cost, self.capacity), now)

    def add(self, cost: int, now: float) -> None:
        """Take what a call costs."""
        self._fill(now)
        self._level -= cost

    def add_refused(self, cost: int, now: float) -> None:
        """Take what is there for a call that was refused and is counted all the same; makes no debt."""
        self._fill(now)
        self._level = min(self._level, max(0.0, self._level - cost))

    def remaining(self, now: float) -> int:
        """Return the whole units that are free now."""
        self._fill(now)
        return max(0, self._whole())

    def reset_seconds(self, now: float) -> float:
        """Return how long until the bucket is full."""
        return self._seconds_to(self.capacity, now)

    def change(self, limit: int, capacity: int, now: float) -> None:
        """Fill at another speed from now on, up to another capacity; what is in stays, as far as it has room."""
        self._fill(now)
        self.limit, self.capacity = limit, capacity
        self._level = min(self._level, capacity)

    def _seconds_to(self, level: float, now: float) -> float:
        self._fill(now)
        missing = level - self._level
        return missing * _MINUTE_SECONDS / self.limit if missing > _ROUNDING_UNITS else 0.0

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.capacity, self._level + (now - self._at) * self.limit / _MINUTE_SECONDS)
            self._at = now

    def _whole(self) -> int:
        return math.floor(self._level + _ROUNDING_UNITS)


type Meter = SlidingWindow | TokenBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A limit does not allow the call.

    Attributes:
        cause: The failure file that holds the answer.
        unit: How OpenAI names the limit, such as ``requests per min (RPM)``.
        unit_words: How Anthropic names it, such as ``requests per minute``.
        wait_seconds: When it will fit; ``None`` means never, or not foreseeable (concurrency).
        never: The call is larger than the whole limit.
    """

    cause: str
    unit: str
    unit_words: str
    limit: int
    used: int
    requested: int
    wait_seconds: float | None
    never: bool = False


@dataclass(slots=True)
class _Account:
    per_second: Meter | None
    per_minute: Meter | None
    tokens: Meter | None
    running: int = 0


class Limits:
    """The limits of all keys."""

    def __init__(self, config: SimulatorConfig) -> None:
        """Start with nothing used."""
        self._config = config
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def clear(self) -> None:
        """Forget what was used. Calls in progress no longer count against the concurrency."""
        self._accounts.clear()

    def admit(self, key: str, tokens: int) -> Callable[[], None] | Refused:
        """Enter a call, or refuse it. A refused call is entered only where refused calls count.

        Args:
            key: Whose limits.
            tokens: Input plus output tokens of the call.

        Returns:
            A function to be called once when the call has ended, or the refusal.
        """
        account = self._account(key)
        now = self._config.clock()
        refused = self._refusal(account, tokens, now)
        if refused and self._config.count_refused:
            for meter in (account.per_second, account.per_minute):
                if meter:
                    meter.add_refused(1, now)
            # What was counted prolongs the wait.
            return self._refusal(account, tokens, now) or refused
        if refused:
            return refused
        for meter in (account.per_second, account.per_minute):
            if meter:
                meter.add(1, now)
        if account.tokens:
            account.tokens.add(tokens, now)
        account.running += 1

        def release() -> None:
            account.running -= 1

        return release

    def change(self, config: SimulatorConfig) -> None:
        """Use the limits of this configuration from now on, for all keys.

        What was used stays used: a window keeps its calls, a bucket its level as far as it has room. A limit that is
        new, or that was of the other kind, starts unused.
        """
        self._config = config
        now = config.clock()
        for account in self._accounts.values():
            account.per_second = _changed(account.per_second, config.requests_per_second, 1.0, None, now)
            account.per_minute = _changed(
                account.per_minute, config.requests_per_minute, _MINUTE_SECONDS, config.burst, now
            )
            account.tokens = _changed(
                account.tokens, config.tokens_per_minute, _MINUTE_SECONDS, config.burst_tokens, now
            )

    def headers(self, provider: Provider, key: str, tokens: int = 0) -> list[tuple[str, str]]:
        """Return the provider's rate-limit headers for the state of now.

        Source: names of the headers from public reports and, for Anthropic, from
            https://docs.aws.amazon.com/claude-platform/latest/userguide/rate-limits.html (read in excerpts 2026-11).
            Azure tells no reset, and Gemini nothing at all (public reports, read 2026-11).
        """
        if provider is Provider.GEMINI or not self._config.state_limits:
            return []
        account = self._account(key)
        now = self._config.clock()
        shown = (
            ("requests", _shown_meter(account, now), _SHOWN_REQUESTS, 1),
            ("tokens", account.tokens, _SHOWN_TOKENS, tokens),
        )
        pairs: list[tuple[str, str]] = []
        for name, meter, shown_limit, cost in shown:
            limit = meter.limit if meter else shown_limit
            remaining = meter.remaining(now) if meter else max(0, shown_limit - cost)
            reset = meter.reset_seconds(now) if meter else _SHOWN_RESET_SECONDS
            if provider is Provider.ANTHROPIC:
                stem = f"anthropic-ratelimit-{name}-" + "{}"
                reset_text = self.instant_after(reset)
            else:
                stem = "x-ratelimit-{}-" + name
                reset_text = go_duration(reset)
            pairs.append((stem.format("limit"), str(limit)))
            pairs.append((stem.format("remaining"), str(remaining)))
            if provider is not Provider.AZURE:
                pairs.append((stem.format("reset"), reset_text))
        return pairs

    def instant_after(self, seconds: float) -> str:
        """Return an instant in RFC 3339, whole seconds, rounded up as Anthropic writes them."""
        instant = math.ceil(self._config.wall_clock() + seconds)
        return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _account(self, key: str) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            config = self._config
            account = _Account(
                per_second=_meter(config.requests_per_second, 1.0, None),
                per_minute=_meter(config.requests_per_minute, _MINUTE_SECONDS, config.burst),
                tokens=_meter(config.tokens_per_minute, _MINUTE_SECONDS, config.burst_tokens),
            )
            self._accounts[key] = account
            if len(self._accounts) > _MAX_KEYS:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(key)
        return account

    def _refusal(self, account: _Account, tokens: int, now: float) -> Refused | None:
        """Name the limit that holds longest: waiting for a shorter one would only meet it next."""
        concurrency = self._config.concurrency
        if concurrency is not None and account.running >= concurrency:
            return Refused(
                cause="rate_limit.concurrency",
                unit="concurrent requests",
                unit_words="concurrent requests",
                limit=concurrency,
                used=account.running,
                requested=1,
                wait_seconds=None,
            )
        refusals: list[Refused] = []
        for cause, unit, unit_words, meter, cost in (
            ("rate_limit.requests", "requests per sec (RPS)", "requests per second", account.per_second, 1),
            ("rate_limit.requests", "requests per min (RPM)", "requests per minute", account.per_minute, 1),
            ("rate_limit.tokens", "tokens per min (TPM)", "tokens per minute", account.tokens, tokens),
        ):
            if meter is None:
                continue
            wait = meter.wait_seconds(cost, now)
            if wait != 0.0:
                refusals.append(
                    Refused(
                        cause=cause,
                        unit=unit,
                        unit_words=unit_words,
                        limit=meter.limit,
                        used=meter.used,
                        requested=cost,
                        wait_seconds=wait,
                        never=wait is None,
                    )
                )
        return max(refusals, key=lambda refused: math.inf if refused.never else refused.wait_seconds or 0, default=None)


def _shown_meter(account: _Account, now: float) -> Meter | None:
    """Return the limit of requests to tell of: one that is used up, else the longest."""
    for meter in (account.per_minute, account.per_second):
        if meter and meter.remaining(now) <= 0:
            return meter
    return account.per_minute or account.per_second


def _meter(limit: int | None, length_seconds: float, burst: int | None) -> Meter | None:
    if limit is None:
        return None
    return SlidingWindow(limit, length_seconds) if burst is None else TokenBucket(limit, burst)


def _changed(
    meter: Meter | None, limit: int | None, length_seconds: float, burst: int | None, now: float
) -> Meter | None:
    """Return a meter with other numbers that knows what was used, where it is of the same kind."""
    if limit is not None and burst is None and isinstance(meter, SlidingWindow):
        meter.limit = limit
        return meter
    if limit is not None and burst is not None and isinstance(meter, TokenBucket):
        meter.change(limit, burst, now)
        return meter
    return _meter(limit, length_seconds, burst)
