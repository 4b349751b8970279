"""What happened lately, per host, key and app: bounded, forgetful, and read only when something fails.

It holds fingerprints and times, never a key or a text. The caller gives the time; nothing here reads a clock.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.diagnose.evidence import History
from gateway.model.call import Headers
from gateway.model.provider import StatedLimit, no_limits

WINDOW_SECONDS = 600.0
BODY_WINDOW_SECONDS = 60.0
PLACES_MAX = 512
KEPT = 64
LARGE_BYTES = 65_536
ALIKE = 0.15
GAVE_UP_MIN = 2
TIMEOUT_SECONDS_MIN = 1.0
"""Who leaves sooner was told to; nobody waits so short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One call that is over, as far as the history cares.

    Attributes:
        at: Monotonic seconds, when it ended.
        key: Fingerprint of the credential.
        client: Who asked: a fingerprint of what tells apps apart.
        cause: None when it went well.
        seconds: From arrival to the end.
        connect_seconds: For connecting, TLS included; 0 when a kept connection was used.
        limits: The headers of the answer that tell of limits; they are read only when something fails.
        read_limits: The provider's reader of them.
        stated_wait: How long the answer said to wait, 0 when it did not.
        body: Fingerprint of where the request went and of its body; 0 for none.
        retries: How many retries the app's SDK said went before.
        attempts: How often we asked the provider.
        left: The app hung up.
        held_back_seconds: How long a stream stayed silent before all of it came at once, 0 when it flowed; None for
            what was no stream, or too short to tell.
    """

    at: float
    host: str
    model: str
    key: str
    client: str
    cause: str | None
    seconds: float
    connect_seconds: float = 0.0
    size_bytes: int = 0
    limits: Headers = ()
    read_limits: Callable[[Headers], tuple[StatedLimit, ...]] = no_limits
    stated_wait: float = 0.0
    body: int = 0
    retries: int = 0
    attempts: int = 0
    left: bool = False
    held_back_seconds: float | None = None


@dataclass(slots=True)
class _Place:
    """A host, lately."""

    calls: deque[Happened] = field(default_factory=lambda: deque(maxlen=KEPT))
    good: OrderedDict[str, float] = field(default_factory=OrderedDict)
    good_at: float | None = None
    small_at: float | None = None
    failing: str | None = None
    failing_since: float | None = None
    took: deque[tuple[str, float]] = field(default_factory=lambda: deque(maxlen=KEPT))
    connects: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    held_back_seconds: float = 0.0
    held_back_at: float = 0.0


class Recent:
    """The history of this gateway's calls."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def note(self, one: Happened) -> None:
        """Remember a call that is over."""
        place = self._places.get(one.host)
        if place is None:
            place = self._places[one.host] = _Place()
            if len(self._places) > PLACES_MAX:
                self._places.popitem(last=False)
        self._places.move_to_end(one.host)
        place.calls.append(one)
        if one.connect_seconds > 0 and (one.cause is None or not one.cause.startswith("network.")):
            place.connects.append(one.connect_seconds)
        if one.cause is None:
            self._note_good(place, one)
        elif not one.left and place.failing != one.cause:
            place.failing, place.failing_since = one.cause, one.at

    def _note_good(self, place: _Place, one: Happened) -> None:
        place.good_at = one.at
        place.failing = place.failing_since = None
        place.good[one.key] = one.at
        place.good.move_to_end(one.key)
        if len(place.good) > KEPT:
            place.good.popitem(last=False)
        if one.size_bytes <= LARGE_BYTES:
            place.small_at = one.at
        place.took.append((one.model, one.seconds))
        if one.held_back_seconds is not None:
            place.held_back_seconds, place.held_back_at = one.held_back_seconds, one.at

    def look(self, now: float, host: str, *, model: str, key: str, client: str, body: int) -> History:
        """Give what matters to a call that has just failed."""
        place = self._places.get(host)
        if place is None:
            return History()
        calls = [one for one in place.calls if now - one.at <= WINDOW_SECONDS]
        same = [
            one
            for one in calls
            if body and one.body == body and one.client == client and now - one.at <= BODY_WINDOW_SECONDS
        ]
        tries = [one for one in same if one.retries == 0]
        in_a_row = _in_a_row(tries)
        others = [one for one in calls if one.client != client]
        worked = place.good.get(key)
        fell, sent = _fell(calls, key)
        return History(
            key_worked_seconds=None if worked is None else now - worked,
            other_key_works=any(at > now - WINDOW_SECONDS for other, at in place.good.items() if other != key),
            host_worked_seconds=None if place.good_at is None else now - place.good_at,
            host_failed_since_seconds=None if place.failing_since is None else now - place.failing_since,
            others_fail=any(one.cause is not None and not one.left for one in others),
            others_work=any(one.cause is None for one in others),
            same_body=len(same) + 1 if same else 0,
            restarts=in_a_row if any(one.retries for one in same) else 0,
            rounds=in_a_row if in_a_row == len(tries) else 0,
            same_sent=sum(one.attempts for one in same),
            sent_since_limit=sent,
            remaining_fell=fell,
            retry_after_ignored=_ignored(calls, client, now),
            usual_seconds=_quantile((took for named, took in place.took if named == model), 0.9),
            gave_up_seconds=_gave_up(calls, client),
            usual_connect_seconds=_quantile(place.connects, 0.5),
            small_passed=place.small_at is not None and now - place.small_at <= WINDOW_SECONDS,
            held_back_seconds=place.held_back_seconds if now - place.held_back_at <= WINDOW_SECONDS else 0.0,
        )


def _in_a_row(calls: list[Happened]) -> int:
    """Give how many calls began when one before had ended: what is asked twice at the same time is no repetition."""
    number, ended = 0, float("-inf")
    for one in sorted(calls, key=lambda one: one.at):
        if one.at - one.seconds >= ended:
            number, ended = number + 1, one.at
    return number


def _fell(calls: list[Happened], key: str) -> tuple[int, int]:
    """Give how far the provider's count of requests fell over the last window, and how many calls of ours that were."""
    counted = [(one.at, left) for one in calls if one.key == key and (left := _left(one)) is not None]
    first = 0
    for at in range(1, len(counted)):
        if counted[at][1] > counted[at - 1][1] or counted[at][0] - counted[first][0] > BODY_WINDOW_SECONDS:
            first = at
    window = counted[first:]
    if len(window) < 2:
        return 0, 0
    (began, before), (ended, after) = window[0], window[-1]
    return before - after, sum(one.key == key and began < one.at <= ended for one in calls)


def _left(one: Happened) -> int | None:
    """Give how many requests the answer's headers say are left."""
    return next((stated.remaining for stated in one.read_limits(one.limits) if stated.kind == "requests"), None)


def _ignored(calls: list[Happened], client: str, now: float) -> bool:
    """Whether this app came back before a wait was over that it had been told of."""
    waits = [one for one in calls if one.client == client and one.stated_wait > 1.0]
    return any(now < one.at + one.stated_wait * (1 - ALIKE) for one in waits)


def _gave_up(calls: list[Happened], client: str) -> float:
    """Give the time after which an app hangs up each time, 0 when it does not."""
    left = sorted(one.seconds for one in calls if one.client == client and one.left)
    if len(left) < GAVE_UP_MIN or left[0] < TIMEOUT_SECONDS_MIN or left[-1] - left[0] > ALIKE * left[-1] + 0.5:
        return 0.0
    return left[len(left) // 2]


def _quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
