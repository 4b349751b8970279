"""What the stages before egress decide about a call."""

from dataclasses import dataclass

from gateway.model.call import Headers
from gateway.model.cause import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReply:
    """A complete answer that may be given again: body bytes exactly as they came (still encoded, framing kept)."""

    status: int
    headers: Headers
    body: bytes
    stored_at: float
    """Monotonic seconds."""
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Send it. ``cache_key`` is set when a good answer shall be stored."""

    cache_key: bytes | None = None
    ttl_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeCached:
    """Answer from the cache."""

    reply: StoredReply
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedPolicy:
    """The limit that a refusal of ours is about; nothing of it is left.

    Attributes:
        kind: What is counted: ``requests``, ``tokens``, ``concurrency``, ...
        window_seconds: None for a concurrency.
        reset_seconds: When there is enough for this call; infinite when nobody can tell.
    """

    kind: str
    limit: float
    window_seconds: float | None
    reset_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer ourselves.

    Attributes:
        status: The HTTP status of our answer.
        why: One sentence about this call.
        retry_after_seconds: None when waiting does not help.
        policy: The limit that it is about, None when about none.
    """

    cause: Cause
    status: int
    why: str
    retry_after_seconds: float | None = None
    queued_seconds: float = 0.0
    policy: StatedPolicy | None = None


Decision = Forward | ServeCached | Refuse
