"""Whether an upgrade to WebSocket (RFC 6455) gets through: proxies drop it that let everything else pass."""

import secrets
from base64 import b64encode
from collections.abc import Iterator

from gateway.diagnose.author import Kind
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.observation import Observation
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, not_this, note, ok, skipped, trouble
from gateway.doctor.measured import Handshakes, Plain, Sizes, Upgraded
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.wire import Answer, fetch
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase

_PATH = "/v1/realtime?model=gpt-realtime"
"""OpenAI's (platform.openai.com/docs/guides/realtime-websocket, read 2026-11)."""

_SECONDS = 2.5
_UPGRADE_REQUIRED = 426
_NOT_THEIRS = frozenset({Kind.MIDDLEBOX, Kind.SERVER})


async def _measure(case: Case, done: Done) -> Upgraded:
    seen = done.get(Handshakes)
    good = None if seen is None else next((one for one in seen.each if one.failure is None), None)
    if good is None:
        return Upgraded(answer=Answer(), path=_PATH)
    target = case.target
    answer = await fetch(
        case,
        f"https://{target.host}:{target.port}{_PATH}",
        headers=[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", b64encode(secrets.token_bytes(16)).decode()),
        ],
        address=good.address,
        ca_file=target.ca_file,
        seconds=_SECONDS,
    )
    return Upgraded(answer=answer, path=_PATH)


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Upgraded)
    if seen is None:
        return
    answer, plain = seen.answer, _plain(done)
    if not answer.status and answer.failure is None:
        yield skipped("no valid handshake to ask on")
    elif not answer.status and answer.failure is not None and not answer.failure.sent:
        yield skipped("no connection came about: {detail}", detail=answer.failure.detail)
    elif plain is not None and not _is_theirs(case, plain):
        yield skipped("plain requests are not answered by the provider either")
    elif not _is_theirs(case, answer):
        yield _trouble(case, answer, plain)
    elif answer.status == _UPGRADE_REQUIRED:
        yield note("the provider saw no wish to upgrade: something on the way took it out, and WebSocket will not work")
    else:
        yield ok("an upgrade to WebSocket reaches the provider, status {status}", status=answer.status)


def _plain(done: Done) -> Answer | None:
    """Give the answer to a request that wants no upgrade, None when none was made."""
    plain, sizes = done.get(Plain), done.get(Sizes)
    if plain is not None:
        return plain.answer
    return sizes.each[0][1] if sizes is not None and sizes.each else None


def _is_theirs(case: Case, answer: Answer) -> bool:
    """Whether the provider, or the edge in front of it, wrote an answer."""
    if not answer.status:
        return False
    head = ReplyHead(status=answer.status, headers=answer.headers)
    seen = Observation(Evidence(provider=case.target.provider, host=case.target.host, head=head, text=answer.text))
    return answer.status == 101 or not (seen.by(*_NOT_THEIRS) or (seen.by(Kind.UNKNOWN) and seen.is_page))


def _trouble(case: Case, answer: Answer, plain: Answer | None) -> Check:
    clues, ruled_out = [], []
    if plain is not None:
        passes = clue("a plain request is answered by the provider, with status {status}", status=plain.status)
        clues.append(passes)
        ruled_out = [not_this(cause, passes) for cause in (Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_READ_TIMEOUT)]
    if answer.status:
        head = ReplyHead(status=answer.status, headers=answer.headers)
        evidence = evidence_for(case, head=head, text=answer.text)
        detail = f"status {answer.status}"
    else:
        detail = answer.failure.detail if answer.failure is not None else ""
        failure = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.UPGRADE_UNANSWERED, detail=detail, sent=True)
        evidence = evidence_for(case, failure=failure)
    verdict = named(
        Cause.NETWORK_WEBSOCKET_BLOCKED,
        evidence,
        clues=clues,
        ruled_out=ruled_out,
        confirmed=plain is not None,
        language=case.language,
    )
    told = "an upgrade to WebSocket does not get through to {host}: {detail}"
    return trouble(Status.WARN, verdict, told, host=case.target.host, detail=detail)


def _leave_out(case: Case) -> str:
    return "" if case.target.name == "openai" else "this host has no WebSocket that is known"


PROBE = Probe(
    name="websocket",
    group=Group.NETWORK,
    rank=62,
    gives=Upgraded,
    measure=_measure,
    judge=_judge,
    after=(Handshakes,),
    seconds=3.0,
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    leave_out=_leave_out,
)
