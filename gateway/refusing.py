"""Answer a call ourselves: with the reason, in the shape that the app's SDK reads."""

from gateway.diagnose.engine import diagnose
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.decision import Refuse
from gateway.model.exchange import Admitted, Answered, Outcome
from gateway.reply import Reply, marks, own_error, verdict, waits
from gateway.stages import Stages
from gateway.testimony import evidence_of


async def refuse(
    stages: Stages, admitted: Admitted, refused: Refuse, reply: Reply, attempts: tuple[Attempt, ...] = ()
) -> Answered:
    """Give the refusal."""
    call, route = admitted.call, admitted.route
    diagnosis = diagnose(evidence_of(stages, call, route, attempts=attempts, refused=refused))
    body, headers = own_error(route.provider, refused.status, diagnosis, stages.language)
    headers += verdict(diagnosis, spent=False) + waits(refused)
    overhead = max(0.0, stages.clock.now() - call.arrived - refused.queued_seconds)
    headers += marks(call.id, len(attempts), refused.queued_seconds, overhead)
    await reply.start(refused.status, headers)
    await reply.end(body)
    head = ReplyHead(status=refused.status, headers=tuple(headers))
    outcome = Outcome(head=head, complete=True, excerpt=body, bytes_out=len(body), diagnosis=diagnosis)
    return Answered(admitted=admitted, attempts=attempts, outcome=outcome, queued_seconds=refused.queued_seconds)
