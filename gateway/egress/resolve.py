"""From a host to addresses that may be connected to; what leads to ourselves, or where no app may go, is refused."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import abc as aiohttp_abc

from gateway.egress.lookups import Found, LookUp, Lookups, Question, ask_system
from gateway.model.cause import Cause

KEPT_SECONDS = 30.0
"""How long an answer is used again; the system does not tell how long it holds."""

MISSING_SECONDS = 5.0
"""How long a name is known not to exist: enough for a thousand calls at once, short for whoever mends it."""

ANSWERS_MAX = 256
ADDRESSES_MAX = 8

_MISSING = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""What says that a name has no address. ``EAI_AGAIN`` (SERVFAIL, no network) may be over in a moment."""


class NotAllowedError(OSError):
    """We will not connect there.

    Attributes:
        status: What the app is answered.
    """

    cause: Cause
    status: int


class LoopError(NotAllowedError):
    """The request would reach the gateway itself."""

    cause, status = Cause.PROXY_LOOP_DETECTED, 508


class BarredError(NotAllowedError):
    """The name led to an address that no app may reach through us."""

    cause, status = Cause.PROXY_DESTINATION_BLOCKED, 403


@dataclass(slots=True)
class _Kept:
    """An answer, or what stood in place of one, until a time on the monotonic clock."""

    until: float
    addresses: tuple[Found, ...]
    missing: tuple[object, ...] = ()


class Resolver(aiohttp_abc.AbstractResolver):
    """The system's resolver, off the event loop, with a deadline and a look at every address that it gives.

    Args:
        check: Raises what a host, port and address must not be connected for.
        look_up: What is asked, in a thread.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        check: Callable[[str, int, str], None],
        look_up: LookUp = ask_system,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check, self._clock = check, clock
        self._lookups = Lookups(look_up)
        self._kept: dict[Question, _Kept] = {}
        self._answers: dict[str, tuple[str, ...]] = {}

    def answers(self, host: str) -> tuple[str, ...]:
        """Give what a name last resolved to, nothing when it did not or is long forgotten."""
        return self._answers.get(host, ())

    def known(self, host: str, port: int) -> list[aiohttp_abc.ResolveResult] | None:
        """Give a name's addresses without asking, None when they have to be asked for. Raises as `resolve`."""
        kept = self._kept.get(Question(host, port, socket.AF_UNSPEC))
        if kept is None or kept.missing or kept.until <= self._clock():
            return None
        # Each connection begins with the next address: one that takes connections and then is silent spoils one try.
        kept.addresses = (*kept.addresses[1:], kept.addresses[0])
        return self._checked(host, port, kept.addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp_abc.ResolveResult]:
        """Look a name up; both families, in the system's order.

        Raises:
            TimeoutError: No answer in time.
            NotAllowedError: An address is one that must not be connected to.
            OSError: The name has no address, or the system cannot say (``socket.gaierror``).
        """
        question = Question(host, port, family)
        kept = self._kept.get(question)
        if kept is not None and kept.missing and kept.until > self._clock():
            raise socket.gaierror(*kept.missing)
        try:
            found = await self._lookups.find(question)
        except socket.gaierror as error:
            if error.errno in _MISSING:
                self._keep(question, _Kept(self._clock() + MISSING_SECONDS, (), error.args))
            raise
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        self._keep(question, _Kept(self._clock() + KEPT_SECONDS, found))
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[host] = tuple(dict.fromkeys(address for _, address in found))[:ADDRESSES_MAX]
        return self._checked(host, port, found)

    async def close(self) -> None:
        """Let go of everybody who waits."""
        self._lookups.close()

    def _keep(self, question: Question, kept: _Kept) -> None:
        if len(self._kept) >= ANSWERS_MAX:
            self._kept.clear()
        self._kept[question] = kept

    def _checked(self, host: str, port: int, found: tuple[Found, ...]) -> list[aiohttp_abc.ResolveResult]:
        results: list[aiohttp_abc.ResolveResult] = []
        for family, address in found:
            self._check(host, port, address)
            results.append(
                {
                    "hostname": host,
                    "host": address,
                    "port": port,
                    "family": family,
                    "proto": socket.IPPROTO_TCP,
                    "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                }
            )
        return results
