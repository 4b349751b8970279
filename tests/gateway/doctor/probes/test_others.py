"""How far a trouble reaches: the same request to other providers."""

from pathlib import Path

import pytest

from gateway.doctor.measured import Others, Plain
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.others import PROBE
from gateway.doctor.wire import Answer
from gateway.model.failure import NetCode, Phase
from tests.gateway.doctor.probes.far import ANTHROPIC_RIGHT, RIGHT, a_case, far, unanswered

SILENT = unanswered(NetCode.CONNECT_TIMEOUT, Phase.CONNECT)
CASE = a_case(other=True)


def judged(plain: Answer | None, other: Answer) -> list[Check]:
    seen = Others(each=(("api.anthropic.com", other),))
    return list(PROBE.judge(CASE, Done(seen) if plain is None else Done(seen, Plain(answer=plain))))


@pytest.mark.parametrize(
    ("plain", "other", "status", "words"),
    [
        (RIGHT, ANTHROPIC_RIGHT, Status.OK, "other providers answer"),
        (None, ANTHROPIC_RIGHT, Status.OK, "other providers answer"),
        (RIGHT, SILENT, Status.NOTE, "does not answer"),
        (SILENT, ANTHROPIC_RIGHT, Status.NOTE, "only {host} is affected"),
        (SILENT, SILENT, Status.NOTE, "every provider"),
    ],
)
def test_the_scope_of_a_trouble(plain: Answer | None, other: Answer, status: Status, words: str) -> None:
    (check,) = judged(plain, other)
    assert check.status is status
    assert words in check.told.text


def test_third_parties_are_asked_only_when_somebody_asks() -> None:
    assert PROBE.leave_out(a_case())
    assert PROBE.leave_out(a_case(other=True, asked=False))
    assert not PROBE.leave_out(CASE)
    assert not PROBE.unasked
    assert list(PROBE.touches(CASE)) == ["api.anthropic.com:443"]


async def test_they_are_asked_without_a_key(tmp_path: Path) -> None:
    async with far(tmp_path, "api.anthropic.com") as there:
        there.on("api.anthropic.com/v1/models", 401, ANTHROPIC_RIGHT.text)
        case = a_case(other=True, lists=there.lists("api.anthropic.com"), ca_file=there.ca_file)
        seen = await PROBE.measure(case, Done())
        (check,) = PROBE.judge(case, Done(seen))
        assert check.status is Status.OK
        assert "x-api-key" not in there.heads[0].lower()
