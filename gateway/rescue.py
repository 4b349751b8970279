"""What an app gets instead of a failure, where it would rather have something older than nothing."""

from gateway.cache.freshness import may_stand_in
from gateway.delivery import Trip, over
from gateway.model.attempt import ReplyHead
from gateway.model.decision import Forward
from gateway.model.diagnosis import Diagnosis
from gateway.model.exchange import Answered, Outcome
from gateway.model.flow import State
from gateway.model.provider import Usage
from gateway.reply import cache_status, marks, passed_on, verdict


async def rescue(trip: Trip, diagnosis: Diagnosis, status: int | None) -> Answered | None:
    """Give an older answer where the provider cannot be reached or does not work; the verdict stays in the row.

    Args:
        status: Of the provider's last answer, None when there was none.

    Returns:
        None when there is nothing to give.
    """
    decision, cache, call = trip.admitted.decision, trip.stages.cache, trip.admitted.call
    if cache is None or not isinstance(decision, Forward) or decision.plan is None or trip.reply.started:
        return None
    if not may_stand_in(diagnosis.cause, status):
        return None
    found = await cache.stand_in(decision.plan)
    if found is None:
        return None
    stored = found.reply
    head = ReplyHead(status=stored.status, headers=stored.headers)
    age, fresh = found.age_seconds, found.fresh_seconds
    ours = [
        cache_status("hit; stale" if fresh <= 0 else "hit", age, fresh),
        *(pair for pair in verdict(diagnosis, spent=False) if pair[0].startswith(b"x-whygate-")),
        *marks(call.id, len(trip.attempts), trip.queued_seconds, 0.0, duplicate=trip.duplicate),
    ]
    trip.live.status = stored.status
    trip.live.enter(State.STREAMING)
    await trip.reply.start(stored.status, [*passed_on(head, ours), (b"content-length", b"%d" % len(stored.body))])
    began_at = trip.stages.clock.now()
    await trip.reply.end(stored.body)
    outcome = Outcome(
        head=head,
        complete=True,
        bytes_out=len(stored.body),
        first_byte_at=began_at,
        usage=Usage(stored.tokens_in, stored.tokens_out),
        diagnosis=diagnosis,
        cache="stale",
    )
    return over(trip, outcome)
