"""Many connections at once, in a thread of their own: their times are those of the network, whatever else Python does.

And the routers on the way, as far as the system tells a program without rights (Linux, ip(7), ``IP_RECVERR``).
"""

import asyncio
import errno
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HOPS_MAX = 16
_FIRST_PORT = 33_434
"""Where traceroute sends to: nobody listens there."""
_STEP_SECONDS = 0.05


@dataclass(slots=True, kw_only=True)
class Line:
    """One address to connect to, again and again.

    Attributes:
        address: As it is reported.
        place: Where to go in truth.
        tries: How many times.
        connect_ms: Of those that came about.
        errors: Of the others; a `TimeoutError` where nothing came back.
    """

    address: str
    port: int
    about: str
    place: tuple[str, int]
    tries: int
    connect_ms: list[float] = field(default_factory=list)
    errors: list[OSError] = field(default_factory=list)
    _left: int = -1

    @property
    def dead(self) -> bool:
        """Whether none came about."""
        return bool(self.errors) and not self.connect_ms


async def in_thread[T](work: Callable[[], T]) -> T:
    """Run what blocks in a daemon thread: one that hangs holds up neither the loop nor the end of the program."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(given: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(given)  # type: ignore[arg-type]

    def run() -> None:
        try:
            given, error = work(), None
        except BaseException as raised:  # noqa: BLE001 - it is raised where it was waited for
            given, error = None, raised
        try:
            loop.call_soon_threadsafe(settle, given, error)
        except RuntimeError:
            return  # the loop has ended, and with it whoever wanted to know

    threading.Thread(target=run, name="whygate-doctor", daemon=True).start()
    return await outcome


def connect_all(lines: Sequence[Line], each_seconds: float, all_seconds: float, at_once: int = 3) -> None:
    """Connect to every line at most ``at_once`` times at a time, and close at once.

    A line of which none of the first round comes about is not tried again: it is dead.
    """
    ends = time.monotonic() + all_seconds
    rounds = _Rounds(lines, each_seconds, at_once)
    with selectors.DefaultSelector() as selector:
        try:
            while rounds.go_on(selector) and time.monotonic() < ends:
                for key, _ in selector.select(max(0.0, min(_STEP_SECONDS, ends - time.monotonic()))):
                    rounds.ready(selector, key)
                rounds.late(selector)
        finally:
            rounds.end(selector)


@dataclass(slots=True, eq=False)
class _Try:
    line: Line
    socket: socket.socket
    began: float


class _Rounds:
    """What is under way, and what is to come."""

    def __init__(self, lines: Sequence[Line], each_seconds: float, at_once: int) -> None:
        self._each_seconds, self._at_once = each_seconds, at_once
        self._waiting = deque((line, line.tries) for line in lines)
        self._left = {id(line): line.tries for line in lines}
        self._under_way: list[_Try] = []

    def go_on(self, selector: selectors.BaseSelector) -> bool:
        """Begin what may begin; tell whether anything is under way."""
        for line, _ in self._waiting:
            busy = sum(one.line is line for one in self._under_way)
            first = len(line.errors) + len(line.connect_ms) + busy
            while self._left[id(line)] > 0 and busy < self._at_once:
                if first >= self._at_once and (line.dead or not line.connect_ms):
                    break
                self._begin(selector, line)
                self._left[id(line)] -= 1
                busy, first = busy + 1, first + 1
        return bool(self._under_way)

    def _begin(self, selector: selectors.BaseSelector, line: Line) -> None:
        family = socket.AF_INET6 if ":" in line.place[0] else socket.AF_INET
        try:
            made = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            line.errors.append(error)
            return
        made.settimeout(0)
        one = _Try(line, made, time.perf_counter())
        code = made.connect_ex(line.place)
        if code in {0, errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}:
            selector.register(made, selectors.EVENT_WRITE, one)
            self._under_way.append(one)
        else:
            made.close()
            line.errors.append(OSError(code, os.strerror(code)))

    def ready(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        """Take down how an attempt ended."""
        one: _Try = key.data
        took_ms = (time.perf_counter() - one.began) * 1000
        code = one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._drop(selector, one)
        if code:
            one.line.errors.append(OSError(code, os.strerror(code)))
        else:
            one.line.connect_ms.append(round(took_ms, 2))

    def late(self, selector: selectors.BaseSelector) -> None:
        """Give up what has waited for too long."""
        now = time.perf_counter()
        for one in [one for one in self._under_way if now - one.began >= self._each_seconds]:
            self._drop(selector, one)
            one.line.errors.append(TimeoutError(f"no answer within {self._each_seconds:g} s"))

    def end(self, selector: selectors.BaseSelector) -> None:
        """Give up what is left; it counts only where it had its time."""
        for one in list(self._under_way):
            waited = time.perf_counter() - one.began
            self._drop(selector, one)
            if waited >= self._each_seconds or not (one.line.connect_ms or one.line.errors):
                one.line.errors.append(TimeoutError(f"no answer within {waited:.1f} s"))

    def _drop(self, selector: selectors.BaseSelector, one: _Try) -> None:
        selector.unregister(one.socket)
        one.socket.close()
        self._under_way.remove(one)


# -- the way ----------------------------------------------------------------------------------------------------------

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ERRQUEUE = 0x2000
_OF_ICMP = frozenset({2, 3})
"""``SO_EE_ORIGIN_ICMP`` and ``SO_EE_ORIGIN_ICMP6`` (linux/errqueue.h)."""


def hops(address: str, seconds: float) -> tuple[tuple[str, ...], str]:
    """Send a datagram with each small time to live, and read who says that it has run out.

    Returns:
        The routers in order, empty for a silent one, up to the last that answered, which may be the address itself;
        and why there are none, empty when there are some.
    """
    if not sys.platform.startswith("linux"):
        return (), "this system shows routers only to an administrator"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent: list[socket.socket] = []
    found: dict[int, str] = {}
    try:
        sent.extend(_sent(family, address, ttl) for ttl in range(1, HOPS_MAX + 1))
        ends = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for at, one in enumerate(sent):
                selector.register(one, selectors.EVENT_READ, at)
            while (left := ends - time.monotonic()) > 0 and selector.get_map():
                for key, _ in selector.select(left):
                    found[key.data] = _who(sent[key.data])
                    selector.unregister(key.fileobj)
                if address in found.values() and min(at for at in found if found[at] == address) < len(found):
                    break  # all that lie before the end have answered
    except OSError as error:
        return (), error.strerror or str(error)
    finally:
        for one in sent:
            one.close()
    there = [at for at, who in found.items() if who == address]
    last = min(there) if there else max((at for at, who in found.items() if who), default=-1)
    return tuple(found.get(at, "") for at in range(last + 1)), "" if last >= 0 else "no router on the way says anything"


def _sent(family: socket.AddressFamily, address: str, ttl: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        level, option = _RECVERR[family]
        made.setsockopt(level, option, 1)
        limit = socket.IP_TTL if family == socket.AF_INET else socket.IPV6_UNICAST_HOPS
        made.setsockopt(level, limit, ttl)
        made.settimeout(0)
        made.connect((address, _FIRST_PORT + ttl))
        made.send(b"whygate")
    except BaseException:
        made.close()
        raise
    return made


def _who(one: socket.socket) -> str:
    """Read from a socket's queue of errors who sent the error."""
    try:
        _, extra, *_ = one.recvmsg(512, 512, _ERRQUEUE)
    except OSError:
        return ""
    for _, _, data in extra:
        if len(data) >= 24 and data[4] in _OF_ICMP:
            (family,) = struct.unpack_from("=H", data, 16)
            if family == socket.AF_INET:
                return socket.inet_ntop(socket.AF_INET, data[20:24])
            if family == socket.AF_INET6 and len(data) >= 40:
                return socket.inet_ntop(socket.AF_INET6, data[24:40])
    return ""
