"""Probes and cases for tests of what runs them."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.doctor.case import Case, Target
from gateway.doctor.finding import evidence_for, named, ok, trouble
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.model.cause import Cause
from gateway.providers.openai import PROVIDER as OPENAI

CASE = Case(target=Target(host="api.openai.com", provider=OPENAI, name="openai"))


@dataclass(frozen=True)
class Seen:
    """What a fake measures."""

    word: str = "seen"


@dataclass(frozen=True)
class Other:
    """What another measures."""

    word: str = "other"


def fine(_case: Case, _done: Done) -> Iterable[Check]:
    return [ok("all is well")]


def bad(cause: Cause, *, confirmed: bool = True) -> Callable[[Case, Done], Iterable[Check]]:
    def judge(case: Case, _done: Done) -> Iterable[Check]:
        verdict = named(cause, evidence_for(case), confirmed=confirmed)
        return [trouble(Status.FAIL, verdict, "it is not well")]

    return judge


def a_probe(name: str = "machine", **changes: Any) -> Probe:
    async def measure(_case: Case, _done: Done) -> object:
        await asyncio.sleep(0)
        return changes.get("gives", Seen)()

    values = {"name": name, "group": Group.NETWORK, "rank": 10, "gives": Seen, "measure": measure, "judge": fine}
    return Probe(**{**values, "unasked": True, **changes})
