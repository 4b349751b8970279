"""Something else is under way on the same object, or it is in the wrong state."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_CONFLICT,
    match=first(
        only(
            in_status(400, 409, 412, 423),
            first(
                named(
                    "conversation_locked|conflict_error|aborted|already_exists|conflict|resource_conflict|"
                    "conflictexception|resource_locked|idempotency_error|invalid_state"
                ),
                said(
                    "already|conflict|locked|concurrent modification|being modified|another request|in progress|"
                    "still running|is active|while a run|currently",
                    "exists|has an active|in progress|run|conflict|locked|modified|process|active|status",
                ),
                said("can not|could not|unable to", "with status|in status|in state|while"),
            ),
        ),
        status(409, 412, 423),
    ),
    outranks=("request.invalid_parameter", "request.not_found"),
)
