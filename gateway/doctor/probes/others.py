"""Other providers that are in use here, asked the same: whether a trouble is with one of them or with all."""

import asyncio
from collections.abc import Iterator

from gateway.doctor.case import Case, Target
from gateway.doctor.finding import note, ok
from gateway.doctor.measured import Others, Plain
from gateway.doctor.probe import Check, Done, Group, Probe
from gateway.doctor.replies import ask, is_normal, verdict_on
from gateway.doctor.wire import Answer

_SECONDS = 3.0


async def _measure(case: Case, _done: Done) -> Others:
    answers = await asyncio.gather(*(ask(case, one, seconds=_SECONDS) for one in case.others))
    return Others(each=tuple((str(one), answer) for one, answer in zip(case.others, answers, strict=True)))


def _leave_out(case: Case) -> str:
    if not case.others:
        return "no other provider is in use here"
    return "" if case.asked else "other hosts are contacted only when somebody asks"


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Others)
    if seen is None:
        return
    known = {str(one): one for one in case.others}
    fine = [host for host, answer in seen.each if host in known and _answers(case, known[host], answer)]
    bad = [host for host, _ in seen.each if host not in fine]
    plain = done.get(Plain)
    ours = plain is not None and _answers(case, case.target, plain.answer)
    if ours or plain is None:
        if fine:
            yield ok("other providers answer, too: {names}", names=", ".join(fine))
        if bad:
            yield note("{names} does not answer as it should", names=", ".join(bad))
    elif fine and not bad:
        yield note("only {host} is affected; {names} answers as it should", host=case.target.host,
                   names=", ".join(fine))  # fmt: skip
    elif bad and not fine:
        yield note("every provider is affected: {names} as well", names=", ".join(bad))
    else:
        yield note("some providers are affected: {names} as well, {others} not", names=", ".join(bad),
                   others=", ".join(fine))  # fmt: skip


def _answers(case: Case, target: Target, answer: Answer) -> bool:
    return is_normal(verdict_on(case, target, answer), target, answer)


PROBE = Probe(
    name="others",
    group=Group.PROVIDER,
    rank=74,
    gives=Others,
    measure=_measure,
    judge=_judge,
    touches=lambda case: tuple(f"{one.host}:{one.port}" for one in case.others),
    leave_out=_leave_out,
)
