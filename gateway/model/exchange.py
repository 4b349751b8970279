"""The facts of one call, each containing the one before: `Call -> Admitted -> Answered -> Concluded`."""

from dataclasses import dataclass

from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.call import Call
from gateway.model.decision import Decision
from gateway.model.diagnosis import Diagnosis
from gateway.model.provider import Usage
from gateway.model.route import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A call with its meaning and what was decided about it."""

    call: Call
    route: Route
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the answer went out.

    Attributes:
        head: What the app got, None when it left before any head.
        excerpt: First bytes of a failed answer's body, at most 64 KiB, as received.
        complete: The answer reached its proper end.
        client_left: The app hung up before that.
        internal_error: What of ours went wrong, None normally.
        estimated: ``usage`` is our own count of what had come, not the provider's.
        body: The whole body as received, while it may still be wanted for the cache.
        cache: What the cache had to do with it (``hit``, ``stored``, ``collapsed``, ``stale``); empty for nothing.
        diagnosis: The verdict, where it was needed before the end.
        fallback: Who answered in the provider's place, by name; empty when nobody did. The verdict is then on the
            provider, although the app has an answer.
    """

    head: ReplyHead | None = None
    excerpt: bytes = b""
    complete: bool = False
    client_left: bool = False
    usage: Usage | None = None
    estimated: bool = False
    bytes_out: int = 0
    first_byte_at: float | None = None
    internal_error: str | None = None
    body: bytes | None = None
    cache: str = ""
    diagnosis: Diagnosis | None = None
    fallback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An admitted call with its attempts (empty for cached and refused ones) and how the answer went out.

    Attributes:
        queued_seconds: Spent in our queue, over all attempts.
        would_wait_seconds: What it would have waited for a limit, where limits are only watched; infinite when it would
            have been refused, or nobody can tell.
        would_wait_for: Which limit that is.
        possible_duplicate: An attempt that may have been worked on was followed by another.
    """

    admitted: Admitted
    attempts: tuple[Attempt, ...]
    outcome: Outcome
    queued_seconds: float = 0.0
    would_wait_seconds: float | None = None
    would_wait_for: str = ""
    possible_duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """The whole exchange. ``diagnosis`` is None when nothing failed. Times are monotonic seconds."""

    answered: Answered
    diagnosis: Diagnosis | None
    ended: float
    cache: str = "none"
