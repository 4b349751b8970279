"""One try at the upstream: when each phase began and ended, and what came of it."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.model.call import Headers
from gateway.model.cause import Cause
from gateway.model.failure import NetFailure, Phase


class Mark(NamedTuple):
    """One phase of an attempt. Milliseconds since the attempt began, monotonic."""

    phase: Phase
    start_ms: float
    end_ms: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHead:
    """Status and headers as the upstream sent them (names lower-cased)."""

    status: int
    headers: Headers

    def header(self, name: bytes) -> str | None:
        """Give the first value of a header as text (Latin-1), or None. ``name`` is lower case."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A finished attempt.

    Attributes:
        number: 1 for the first.
        waited_seconds: From the attempt before it to this one, our queue included; 0 for the first.
        queued_seconds: In our queue before it. The call's time in the queue holds it, too: take it off once.
        head: None when no head came.
        failure: None when the answer came whole.
        fallback: The name of the fallback that was asked instead of the provider; empty for one at the provider.
        began: Monotonic seconds, 0 where nobody noted it.
        cause: Why it failed, as was thought when it did; None when it seemed good.
    """

    number: int
    waited_seconds: float
    marks: tuple[Mark, ...]
    head: ReplyHead | None
    failure: NetFailure | None
    fallback: str = ""
    began: float = 0.0
    cause: Cause | None = None
    queued_seconds: float = 0.0
