"""What went before, as lines of evidence: the key that still worked, the other that does, who else fails. Pure."""

from collections.abc import Iterator

from gateway.diagnose.observation import Observation
from gateway.diagnose.waits import span
from gateway.model.cause import Cause, Fault
from gateway.model.diagnosis import Clue

_NOISE_SECONDS = 1.0
_OFTEN = 4
_HELD_BACK = frozenset(
    {
        Cause.CLIENT_DISCONNECTED,
        Cause.CLIENT_TIMEOUT_TOO_SHORT,
        Cause.NETWORK_READ_TIMEOUT,
        Cause.NETWORK_STREAM_INTERRUPTED,
        Cause.SERVICE_STREAM_STALLED,
    }
)
"""What befalls an app to which nothing comes."""


def past(observation: Observation, cause: Cause) -> Iterator[Clue]:
    """Give what the recent history adds to this verdict."""
    before = observation.evidence.history
    if cause.startswith(("auth.", "account.", "quota.")):
        if before.key_worked_seconds is not None:
            yield Clue("this key last worked {wait} ago", (("wait", span(before.key_worked_seconds)),))
        if before.other_key_works:
            yield Clue("another key from this machine works now")
    if cause.startswith("rate_limit.") and before.remaining_fell > before.sent_since_limit + 1:
        yield Clue(
            "the provider's count fell by {count} while {sent} calls went through here: somebody else uses this limit",
            (("count", str(before.remaining_fell)), ("sent", str(before.sent_since_limit))),
        )
    if before.retry_after_ignored:
        yield Clue("this app called again before the stated wait was over")
    if before.same_body >= _OFTEN:
        yield Clue("the very same request came {count} times within a minute", (("count", str(before.same_body)),))
    if before.held_back_seconds and observation.evidence.call.stream and cause in _HELD_BACK:
        yield Clue(
            "the last stream from {host} stayed silent for {seconds} s and then came all at once: something on the way "
            "holds streams back",
            (("host", observation.evidence.host), ("seconds", f"{before.held_back_seconds:.0f}")),
        )
    yield from _scope(observation, cause)
    if cause.startswith("client.") and before.usual_seconds:
        yield Clue(
            "good answers of this model take up to {seconds} s here", (("seconds", f"{before.usual_seconds:.0f}"),)
        )


def _scope(observation: Observation, cause: Cause) -> Iterator[Clue]:
    """Say whom it concerns and since when, where somebody else than the caller can fix it."""
    before = observation.evidence.history
    if cause.fault is Fault.CALLER:
        return
    if before.others_fail and not before.others_work:
        yield Clue("other apps fail at {host} in the same way", (("host", observation.evidence.host),))
    elif before.others_work:
        yield Clue("other apps get answers from {host} meanwhile", (("host", observation.evidence.host),))
    since = before.host_failed_since_seconds
    if since is not None and since > _NOISE_SECONDS:
        yield Clue("it fails like this since {wait}", (("wait", span(since)),))
    elif before.host_worked_seconds is not None:
        yield Clue(
            "{host} last answered well {wait} ago",
            (("host", observation.evidence.host), ("wait", span(before.host_worked_seconds))),
        )
