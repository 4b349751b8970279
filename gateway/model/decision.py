"""What the stages before egress decide about a call."""

from dataclasses import dataclass

from gateway.model.call import Headers
from gateway.model.cause import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a stored answer is of: enough to count it and to find it for clearing, and nothing of what was asked.

    Attributes:
        key: Fingerprint of the credential; empty for an answer that its rule gives to every key.
        rule: The rule that let it be stored.
    """

    provider: str = ""
    endpoint: str = ""
    model: str = ""
    key: str = ""
    tenant: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReply:
    """A complete answer that may be given again: body bytes exactly as they came (still encoded, framing kept).

    Attributes:
        stored_at: Seconds of the cache's own time: those since the epoch, but they never go back.
        fresh_until: When it is no longer given in place of asking.
        kept_until: When it is no longer given at all, not even where the provider fails.
    """

    status: int
    headers: Headers
    body: bytes
    stored_at: float
    fresh_until: float
    kept_until: float
    label: Label = Label()
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the cache does for a call.

    Attributes:
        key: Which answers are the same, 32 bytes.
        flight: Which calls are the same while they are under way; differs from ``key`` where keys share answers, since
            one key's failure is not another's.
        read: Answer from it, and join an equal call that is under way. Else only what comes is stored.
        lent: The answer is given to other keys, too.
        about: What the stored answer is of.
    """

    key: bytes
    flight: bytes
    ttl_seconds: float
    read: bool = True
    lent: bool = False
    about: Label = Label()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Send it.

    Attributes:
        plan: What the cache does with the answer, None when nothing.
        bypass: Why it was asked although it may be in the cache; empty when it was not there or never could be.
    """

    plan: Plan | None = None
    bypass: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeCached:
    """Answer from the cache.

    Attributes:
        fresh_seconds: How much longer it may be given.
    """

    reply: StoredReply
    age_seconds: float
    fresh_seconds: float


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
