"""What a provider's limit is, as far as its answers tell: how much, in how long, evenly or at once, how much at a time.

Answers state a limit, what is left of it, and when all of it is back. From the three follows how the provider counts:
a bucket that fills evenly is full again after ``used * seconds / limit`` (OpenAI's documentation of its headers, read
2026-11); a window is empty again when its last call has left it. Where they do not fit, a minute and evenly is assumed,
as most providers document. A limit of a day is known but never waited for: its refusals are the provider's to give.
"""

from typing import NamedTuple

from gateway.limit.bucket import Bucket
from gateway.limit.cost import REQUESTS
from gateway.limit.window import Window
from gateway.model.provider import StatedLimit

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
WAITED_FOR_SECONDS = 600.0
"""Nobody waits for a longer window; it is shown, and the provider's own refusals go through."""

HEADERS_FADE_SECONDS = 3_600.0
REFUSAL_FADE_SECONDS = 600.0
_AT_ONCE_SECONDS = 1.0
"""Where only a limit is stated: so much of it may go at once."""

_SHARE, _SECONDS = 0.03, 0.06
"""How exact a stated reset is taken to be: a share of it, and the digits that are written."""
_SKEW_SECONDS = 0.03
"""As for configured windows, and more: nobody says here from when on the provider counts."""
_SLACK = 0.5
_SURE_AFTER = 16
_FIRST_LATE = 0.1
_FAR_SECONDS = 3.0
_LATE = 0.2
"""How much of a window may have passed before its reset was stated; less of it is left for buckets to look alike."""


_TIGHT_SECONDS, _SPREAD_SECONDS, _APART = 1.0, 0.5, 0.4
"""A bucket that is full within a second: what is in it when we first hear of it does not go out at once."""


class Shape(NamedTuple):
    """How a limit is counted. ``stepwise`` is a window; else a bucket that fills evenly."""

    stepwise: bool
    seconds: float


_EVENLY_IN_A_SECOND = Shape(stepwise=False, seconds=1.0)
_LIKELY = (
    Shape(stepwise=False, seconds=MINUTE),
    Shape(stepwise=True, seconds=MINUTE),
    Shape(stepwise=True, seconds=1.0),
    _EVENLY_IN_A_SECOND,
    Shape(stepwise=False, seconds=DAY),
    Shape(stepwise=False, seconds=HOUR),
    Shape(stepwise=True, seconds=HOUR),
    Shape(stepwise=True, seconds=DAY),
)


def judge(
    *,
    limit: float,
    used: float,
    reset_seconds: float | None,
    window_seconds: float | None,
    took_seconds: float,
    now: Shape | None = None,
    or_used: float | None = None,
) -> Shape:
    """Say how a limit is counted.

    Args:
        used: What is gone of the most that was ever there.
        window_seconds: As stated or documented, else None.
        took_seconds: From the request to its answer; some providers state the time of the one, some of the other.
        now: What was thought so far.
        or_used: What is gone of all that is stated, where the most that was ever there may not have been all.
    """
    likely = [shape for shape in _LIKELY if window_seconds is None or shape.seconds == window_seconds]
    usual = now or (likely[0] if likely else Shape(stepwise=False, seconds=window_seconds or MINUTE))
    if reset_seconds is None:
        return usual if window_seconds is None else usual._replace(seconds=window_seconds)
    if window_seconds is not None and reset_seconds < used * window_seconds / limit / 2 - _FAR_SECONDS:
        likely = list(_LIKELY)  # documented or not: it is all back far too early for such a window
    tries = [(usual, 0.0), (usual, took_seconds), *((one, 0.0) for one in likely)]
    # A bucket of a second is full again at once: with a late answer anything would look like it.
    tries += [(one, took_seconds) for one in likely if one != _EVENLY_IN_A_SECOND]
    for shape, late in tries:
        if any(_fits(shape, limit, one, reset_seconds, late) for one in (used, used if or_used is None else or_used)):
            return shape
    if window_seconds is None and reset_seconds > usual.seconds * 1.05:  # nothing resets later than its own window
        return Shape(stepwise=False, seconds=next((s for s in (MINUTE, HOUR, DAY) if s >= reset_seconds), DAY))
    return usual


def _fits(shape: Shape, limit: float, used: float, reset_seconds: float, late_seconds: float) -> bool:
    whole = 1.0 if reset_seconds == int(reset_seconds) else 0.0
    expected = shape.seconds if shape.stepwise else used * shape.seconds / limit
    near = _SECONDS + whole + _SHARE * expected
    late = min(late_seconds, expected * _LATE) if shape.stepwise else late_seconds
    return expected - late - near <= reset_seconds <= expected + near


class Learned:
    """One limit of a scope, of one kind, as its answers state it.

    Attributes:
        source: ``headers`` of answers, or the words of a ``refusal``.
        said_at: When it was last stated.
        remembered: It was stated to an earlier process, and not to this one yet.
        capacity: The most that was ever left, its own call included; 0 when that was never said.
    """

    def __init__(self, kind: str, now: float) -> None:
        self.kind = kind
        self.source = "headers"
        self.said_at = now
        self.remembered = False
        self.capacity = 0.0
        self.shape: Shape | None = None
        self.meter: Bucket | Window | None = None
        self._doubts = self._heard = 0
        self._tells_rest = False
        self._held_until = self._refused_at = now

    @property
    def enforced(self) -> bool:
        """Whether anybody waits for it."""
        return self.meter is not None and self.shape is not None and self.shape.seconds <= WAITED_FOR_SECONDS

    def faded(self, now: float) -> bool:
        """Whether it was said too long ago to be believed."""
        return now - self.said_at > (HEADERS_FADE_SECONDS if self.source == "headers" else REFUSAL_FADE_SECONDS)

    def hear(
        self, said: StatedLimit, *, cost: float, sent_at: float, now: float, source: str, unanswered: float = 0.0
    ) -> None:
        """Take in what one answer says of it.

        Args:
            cost: What the answered call was thought to cost.
            sent_at: When it was sent: what is said to be left is true as of then.
            unanswered: What other calls take that are under way; they may not be counted in what is left.
        """
        limit = float(said.limit or (self.meter.limit if self.meter is not None else 0))
        if limit < 1:
            return  # how much is left of nothing that we know says nothing
        self.said_at, self.remembered = now, False
        if source == "headers" or self.meter is None:
            self.source = source
        remaining = None if said.remaining is None else min(float(said.remaining), limit)
        if source == "headers":
            self._tells_rest = remaining is not None
        if remaining is not None:
            self.capacity = min(limit, max(self.capacity, remaining + cost))
        reset = said.reset_seconds if remaining is not None else None
        shape = self.shape
        if shape is None or self._doubts or self.meter is None or limit != self.meter.limit or self._is_due():
            shape = judge(
                limit=limit,
                used=0.0 if remaining is None else (self.capacity or limit) - remaining,
                reset_seconds=reset,
                window_seconds=said.window_seconds,
                took_seconds=now - sent_at,
                now=shape,
                or_used=None if remaining is None else limit - remaining,
            )
        if self.meter is None or shape == self.shape:
            self._doubts = 0
        else:
            self._doubts += 1
        if self.meter is None or self._doubts >= 2 or (self._doubts and said.window_seconds is not None):
            self._build(shape, limit, remaining, sent_at=sent_at, now=now, reset=reset, unanswered=unanswered)
        else:
            self._update(self.meter, limit, remaining, sent_at=sent_at, now=now, reset=reset)

    def _is_due(self) -> bool:
        """Whether to look again at how the limit is counted: at first always, later now and then."""
        self._heard += 1
        return self._heard < _SURE_AFTER or self._heard % _SURE_AFTER == 0

    def _update(
        self,
        meter: Bucket | Window,
        limit: float,
        remaining: float | None,
        *,
        sent_at: float,
        now: float,
        reset: float | None,
    ) -> None:
        assert self.shape is not None
        if isinstance(meter, Window):
            if limit != meter.limit:
                meter.adopt(limit, self.shape.seconds + _SKEW_SECONDS)
            if remaining is not None:
                meter.told(sent_at, remaining, now, reset)
            return
        capacity = self._capacity(limit, self.shape.seconds)
        if (limit, capacity) != (meter.limit, meter.capacity):
            meter.adopt(capacity, limit, self.shape.seconds, now)
        if remaining is not None:
            exact = self._exactly(meter, remaining, reset)
            meter.slack = _SLACK if exact is None else 0.0
            meter.told(sent_at, remaining if exact is None else exact, now)
        self._keep_back(meter)

    def _exactly(self, meter: Bucket, remaining: float, reset: float | None) -> float | None:
        """Give what is left with its fraction, which a reset to the millisecond tells: remaining is rounded down."""
        if reset is None or (reset >= 1 and reset == int(reset)):
            return None
        left = (self.capacity or meter.limit) - reset * meter.limit / meter.seconds
        return left if remaining <= left < remaining + 1 else None

    def went_well(self, now: float) -> None:
        """An answer was good: where no answer tells what is left, what others spend is forgotten little by little."""
        if not self._tells_rest and isinstance(self.meter, Bucket) and self.meter.others:
            self.meter.fade(now)
            self._keep_back(self.meter)

    def refused(self, until: float, cost: float, sent_at: float, now: float, *, told: bool) -> None:
        """Learn from a refusal for this very limit: whatever we thought was left, was not.

        Args:
            until: When the provider will take calls again.
            sent_at: When the refused request was sent. Those that were under way together tell one thing, not many.
            told: The refusal itself said what is left, and that has been heard.
        """
        meter = self.meter
        if isinstance(meter, Window):
            return  # its own count goes on; the pause holds everybody meanwhile
        if meter is not None:
            again = meter.others > 0
            if sent_at >= self._refused_at:
                self._refused_at = now
                if not told:
                    self.capacity *= 0.75
                if now >= self._held_until:
                    meter.crowd(now)
                    self._keep_back(meter)
            left = cost if again else cost + meter.reserve  # again: whoever else waits for it goes first
            self._held_until = until
            meter.drain(until, min(meter.capacity, left), now)

    def restore(self, shape: Shape, limit: float, capacity: float, left: float, now: float) -> None:
        """Begin with what an earlier process knew."""
        self.remembered, self.capacity = True, capacity
        self._build(shape, limit, left, sent_at=now, now=now)

    def _build(
        self,
        shape: Shape,
        limit: float,
        remaining: float | None,
        *,
        sent_at: float,
        now: float,
        reset: float | None = None,
        unanswered: float = 0.0,
    ) -> None:
        after = self.meter.after(sent_at) if self.meter is not None else unanswered
        self.shape, self._doubts = shape, 0
        if shape.stepwise:
            window = self.meter = Window(limit, shape.seconds + _SKEW_SECONDS)
            if remaining is not None:
                # The first connection may have taken its time to be counted.
                window.told(min(now, sent_at + shape.seconds * _FIRST_LATE), remaining, now, reset)
            if after:
                window.restore(0.0, after, now)
            return
        bucket = self.meter = Bucket(self._capacity(limit, shape.seconds), limit, shape.seconds, sent_at)
        bucket.told(sent_at, bucket.capacity if remaining is None else remaining, now, first=True)
        if after:
            bucket.sent(bucket.take(after, now), now)
        self._keep_back(bucket)
        rate = limit / shape.seconds
        if bucket.capacity < rate * _TIGHT_SECONDS:
            bucket.spread(now + _SPREAD_SECONDS, _APART / rate)

    def _capacity(self, limit: float, seconds: float) -> float:
        return min(limit, max(1.0, self.capacity or limit / seconds * _AT_ONCE_SECONDS))

    def _keep_back(self, bucket: Bucket) -> None:
        """Keep a little back: it delays one call once, and spares refusals for the whole time."""
        rate = bucket.limit / bucket.seconds
        if self.kind == REQUESTS:
            # Where calls are minutes apart, a whole one kept back would cost minutes.
            wanted = min(1.4 + 0.01 * rate, rate * 0.1) if bucket.others else min(0.6 + 0.01 * rate, rate * 0.05)
        else:
            wanted = rate * (0.2 if bucket.others else 0.05)
        bucket.reserve = min(wanted, bucket.capacity * (0.5 if bucket.others else 0.2))


class Pace:
    """Requests a second, where a provider refuses and states no limit.

    What went well before, less a share, and slowly more again until it refuses again.
    """

    kind = REQUESTS
    _CUT, _GROWTH = 0.7, 0.08
    _ONE_REFUSAL_SECONDS = 1.0

    def __init__(self, rate: float, now: float) -> None:
        self._since = now
        self.refused_at = now
        self.is_heard = False
        self.meter = Bucket(1.0, 1.0, 1.0, now)
        self._set(rate * self._CUT, now)

    def follow(self, refused_at: float, now: float) -> None:
        """Go slower as well: what another gateway was refused for, all of them together were too fast for."""
        if refused_at > self.refused_at + self._ONE_REFUSAL_SECONDS:
            self._set(self._rate * self._CUT, now)
            self.refused_at, self.is_heard = refused_at, True

    @property
    def _rate(self) -> float:
        return self.meter.limit / self.meter.seconds

    def refused(self, until: float, now: float) -> None:
        """Go slower; calls that were refused together count once."""
        if now - self.refused_at > self._ONE_REFUSAL_SECONDS:
            self._set(self._rate * self._CUT, now)
        self.refused_at, self.is_heard = max(now, until), False
        self.meter.drain(until, 1.0, now)

    def grow(self, now: float) -> None:
        """Go faster after a while without refusal."""
        if now - max(self._since, self.refused_at) >= 1.0:
            self._set(self._rate * (1 + self._GROWTH), now)

    def faded(self, now: float) -> bool:
        """Whether it was learned too long ago to be believed."""
        return now - self.refused_at > REFUSAL_FADE_SECONDS

    def _set(self, rate: float, now: float) -> None:
        rate = min(1e6, max(1 / 120, rate))
        limit, seconds = (rate, 1.0) if rate >= 1 else (1.0, 1 / rate)
        self.meter.adopt(max(1.0, limit / 4), limit, seconds, now)
        self._since = now
