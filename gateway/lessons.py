"""What an attempt's answer teaches the gate. Pure."""

from dataclasses import replace

from gateway.egress.retry import REFUSED_STATUSES, never_fits
from gateway.identify.identify import Identifier
from gateway.limit.gate import Answer
from gateway.limit.refusal import Refusal, is_pacing
from gateway.model.attempt import ReplyHead
from gateway.model.diagnosis import Diagnosis
from gateway.model.provider import Provider


def lesson(
    provider: Provider, identifier: Identifier, head: ReplyHead, body: bytes, diagnosis: Diagnosis | None
) -> Answer:
    """Give what others can learn from an answer.

    Args:
        body: Of a refusal: its words may state what its headers do not.
        diagnosis: None for a good answer. A stream that begins with an error is none, whatever its status.
    """
    refusal = refusal_of(head, diagnosis)
    if refusal is not None:
        refusal = replace(refusal, stated=provider.read_refusal(body, head.headers))
    named = [value for name in provider.account_headers if (value := head.header(name))]
    return Answer(
        good=head.status < 400 and diagnosis is None,
        account=identifier.fingerprint("\0".join(named)) if named else None,
        stated=provider.read_limits(head.headers),
        refusal=refusal,
    )


def refusal_of(head: ReplyHead | None, diagnosis: Diagnosis | None) -> Refusal | None:
    """Give what a refusal for speed means for everybody; None for any other answer.

    One inside a good status is a refusal like any other: in a stream, or in the body of a relay.
    """
    if head is None or diagnosis is None or (head.status >= 400 and head.status not in REFUSED_STATUSES):
        return None
    return refusal_in(diagnosis)


def refusal_in(diagnosis: Diagnosis) -> Refusal | None:
    """Give what a verdict means for everybody, wherever in an answer its reason stood.

    A call that is larger than the whole limit says nothing about others, and neither do a day's limit or a quota.
    """
    if not is_pacing(diagnosis.cause) or never_fits(diagnosis.facts):
        return None
    return Refusal(cause=diagnosis.cause, wait_seconds=diagnosis.wait_seconds)
