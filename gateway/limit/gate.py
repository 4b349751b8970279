"""The gate: calls pass in the order in which they came, as fast as the windows and the concurrency allow.

One `Lane` of waiters for each scope (provider, account, model group). A waiter knows its ETA; one that could not be
served before its app gives up is refused at once. Whoever leaves while waiting gives its place up at that moment.
"""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.limit.window import Window
from gateway.model.cause import Cause
from gateway.model.clock import Clock
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.flow import State
from gateway.model.route import Route

LANES_MAX = 10_000
SKEW_SECONDS = 0.02
"""Added to every window: two requests sent a second apart may arrive a little closer than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """A configured limit for every account of a provider, counted for each model group by itself.

    Attributes:
        provider: Its name, ``*`` for all.
        model: A glob.
        per_second: Requests in any second, None for no such limit; may be broken (0.5 is one in 2 s).
        per_minute: Requests in any minute.
        concurrency: Requests at the same time.
    """

    provider: str = "*"
    model: str = "*"
    per_second: float | None = None
    per_minute: int | None = None
    concurrency: int | None = None


class Permit:
    """The right to send one request. Give it back once, when the answer has ended."""

    __slots__ = ("_granted_at", "_lane", "queued_seconds")

    def __init__(self, lane: "_Lane | None", queued_seconds: float, granted_at: float = 0.0) -> None:
        self._lane, self.queued_seconds, self._granted_at = lane, queued_seconds, granted_at

    def sent(self) -> None:
        """Say that the request is on its way. Connecting took a while; the window begins now."""
        if self._lane is not None:
            self._lane.sent(self._granted_at)

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.release()


class Gate:
    """All lanes.

    Args:
        queue_max: Waiters over all lanes.
        queue_max_bytes: Bytes of bodies that wait.
    """

    def __init__(self, rules: Sequence[LimitRule], clock: Clock, *, queue_max: int, queue_max_bytes: int) -> None:
        self._rules, self._clock = tuple(rules), clock
        self._queue_max, self._queue_max_bytes = queue_max, queue_max_bytes
        self._lanes: OrderedDict[tuple[str, str, str], _Lane | None] = OrderedDict()
        self.waiting = 0
        self.waiting_bytes = 0
        self.draining = False
        self.cut = False
        """Whether the gateway itself cuts what still runs: a drain that lasted too long, or a second signal."""

    async def acquire(self, route: Route, live: Live, *, deadline: float, size_bytes: int) -> Permit | Refuse:
        """Wait for the call's turn.

        Args:
            live: Is told what the call waits for.
            deadline: Monotonic seconds after which the app has given up.
            size_bytes: Of the body that waits.
        """
        lane = self._lane(route)
        if self.draining:
            return Refuse(
                cause=Cause.PROXY_DRAINING, status=503, why="the gateway is shutting down", retry_after_seconds=1.0
            )
        if lane is None:
            return Permit(None, 0.0)
        now = self._clock.now()
        if lane.try_pass(now):
            return Permit(lane, 0.0, now)
        eta_seconds = lane.eta(now) - now
        refused = self._refuse(lane, eta_seconds, deadline - now, size_bytes)
        if refused is not None:
            return refused
        live.enter(State.QUEUED, lane.reason(now), round(eta_seconds * 1000))
        self.waiting += 1
        self.waiting_bytes += size_bytes
        try:
            async with asyncio.timeout(max(0.0, deadline - now)):
                granted_at = await lane.wait()
        except TimeoutError:
            waited = self._clock.now() - now
            return _too_long(lane.reason(now), waited, lane.eta(self._clock.now()) - self._clock.now())
        finally:
            self.waiting -= 1
            self.waiting_bytes -= size_bytes
        if self.draining:
            lane.release()
            return Refuse(
                cause=Cause.PROXY_DRAINING, status=503, why="the gateway is shutting down", retry_after_seconds=1.0
            )
        return Permit(lane, self._clock.now() - now, granted_at)

    def drain(self) -> None:
        """Refuse whoever waits, now and from now on."""
        self.draining = True
        for lane in self._lanes.values():
            if lane is not None:
                lane.open()

    def _refuse(self, lane: "_Lane", eta_seconds: float, left_seconds: float, size_bytes: int) -> Refuse | None:
        if self.waiting >= self._queue_max or self.waiting_bytes + size_bytes > self._queue_max_bytes:
            why = f"{self.waiting} calls already wait for their turn, as many as the queue holds"
            return Refuse(cause=Cause.PROXY_QUEUE_FULL, status=429, why=why, retry_after_seconds=max(1.0, eta_seconds))
        if eta_seconds > left_seconds:
            return _too_long(lane.reason(self._clock.now()), 0.0, eta_seconds)
        return None

    def _lane(self, route: Route) -> "_Lane | None":
        key = (route.provider.name, route.scope, route.model_group)
        try:
            lane = self._lanes[key]
        except KeyError:
            rules = [r for r in self._rules if r.provider in {"*", key[0]} and fnmatchcase(key[2], r.model)]
            lane = self._lanes[key] = _Lane(rules, self._clock) if rules else None
            self._forget_idle()
        else:
            self._lanes.move_to_end(key)
        return lane

    def _forget_idle(self) -> None:
        """Keep the number of scopes bounded; one that counts or waits is never forgotten."""
        if len(self._lanes) <= LANES_MAX:
            return
        now = self._clock.now()
        for key, lane in list(self._lanes.items())[: LANES_MAX // 10]:
            if lane is None or lane.idle(now):
                del self._lanes[key]


class _Lane:
    """One scope: its windows, what is on its way, and who waits."""

    def __init__(self, rules: Sequence[LimitRule], clock: Clock) -> None:
        self._clock = clock
        self._windows = [_per_second(r.per_second) for r in rules if r.per_second]
        self._windows += [Window(r.per_minute, 60.0 + SKEW_SECONDS) for r in rules if r.per_minute]
        self._concurrency = min((r.concurrency for r in rules if r.concurrency), default=None)
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def try_pass(self, now: float) -> bool:
        """Pass at once when nobody waits and there is room."""
        if self._waiters or not self._room(now):
            return False
        self._take(now)
        return True

    def eta(self, now: float) -> float:
        """Say when a newcomer could pass as far as the windows tell; ends of running calls are not foreseen."""
        ahead = len(self._waiters)
        return max((window.free_at(now, ahead) for window in self._windows), default=now)

    def reason(self, now: float) -> str:
        """Say in words what is waited for."""
        for window in self._windows:
            if window.remaining(now) <= 0 or self._waiters:
                seconds = window.seconds - SKEW_SECONDS
                span = {1.0: "second", 60.0: "minute"}.get(round(seconds, 6), f"{seconds:.3g} s")
                return f"configured limit of {window.limit} requests per {span}"
        return f"configured limit of {self._concurrency} requests at the same time"

    async def wait(self) -> float:
        """Wait in line; on return one place has been taken, and the moment of that is given."""
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._arm()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                for window in self._windows:  # the turn came in the same moment as the leaving: pass it on
                    window.give_back(waiter.result())
                self.release()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            self._pump()
            raise

    def sent(self, granted_at: float) -> None:
        """A request is on its way."""
        now = self._clock.now()
        for window in self._windows:
            window.move(granted_at, now)

    def release(self) -> None:
        """A call has ended."""
        self._in_flight -= 1
        self._pump()

    def open(self) -> None:
        """Let everybody go, whatever the limit: they will be refused."""
        while self._waiters:
            self._in_flight += 1
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(-math.inf)  # nothing was taken

    def idle(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        return not (self._waiters or self._in_flight or any(w.remaining(now) < w.limit for w in self._windows))

    def _room(self, now: float) -> bool:
        return not self._full() and all(window.free_at(now) <= now for window in self._windows)

    def _full(self) -> bool:
        return self._concurrency is not None and self._in_flight >= self._concurrency

    def _take(self, now: float) -> None:
        self._in_flight += 1
        for window in self._windows:
            window.grant(now)

    def _pump(self) -> None:
        now = self._clock.now()
        while self._waiters and self._room(now):
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._take(now)
                waiter.set_result(now)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiters and self._windows and not self._full():
            now = self._clock.now()
            at = max(window.free_at(now) for window in self._windows)
            # Also when that moment has come by now: nobody else would look again.
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - now) + 0.0005, self._pump)


def _per_second(rate: float) -> Window:
    """A whole rate may come as one burst each second; a broken one is spaced evenly."""
    limit, seconds = (int(rate), 1.0) if rate == int(rate) else (1, 1.0 / rate)
    return Window(limit, seconds + SKEW_SECONDS)


def _too_long(reason: str, waited_seconds: float, eta_seconds: float) -> Refuse:
    why = f"{reason}: its turn would come in {eta_seconds:.1f} s, after the app has given up"
    return Refuse(
        cause=Cause.PROXY_QUEUE_TIMEOUT,
        status=429,
        why=why,
        retry_after_seconds=max(1.0, eta_seconds),
        queued_seconds=waited_seconds,
    )
