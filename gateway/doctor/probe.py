"""A probe: what it measures, what it makes of it, and when it may run."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.doctor.case import Case
from gateway.model.diagnosis import Clue, Diagnosis


class Group(StrEnum):
    """The sections of a report, in its order."""

    ENVIRONMENT = "environment"
    CONFIGURATION = "configuration"
    NETWORK = "network"
    PROVIDER = "provider"
    ACCOUNT = "account"


class Status(StrEnum):
    """How a check came out, the worst last."""

    SKIPPED = "skipped"
    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing to do."""
    WARN = "warn"
    """Calls work, or may work, but not as well as they should."""
    FAIL = "fail"
    """Calls cannot work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report.

    Attributes:
        told: What was found, in one sentence; the key to its translations.
        about: What it is about where a probe gives several: a host, a runtime.
        diagnosis: The verdict; of every `WARN` and `FAIL` that a judge gives, None of the others.
        steps: What to do, where the steps of the cause would lead astray; empty for those.
    """

    status: Status
    told: Clue
    about: str = ""
    diagnosis: Diagnosis | None = None
    steps: tuple[Clue, ...] = ()


class Done:
    """What has been measured so far, by its type. A probe that failed or was skipped has left nothing."""

    def __init__(self, *found: object) -> None:
        self._found: dict[type[Any], Any] = {type(one): one for one in found}

    def get[M](self, kind: type[M]) -> M | None:
        """Give a measurement, None when there is none."""
        return self._found.get(kind)

    def add(self, measured: object) -> None:
        """Keep one."""
        self._found[type(measured)] = measured


def always(_case: Case) -> str:
    """Give no reason to leave a probe out."""
    return ""


def nothing(_case: Case) -> Iterable[str]:
    """Name nothing: the probe stays on this machine."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A file in `probes` exports one as ``PROBE``.

    Attributes:
        name: As in the report; also that of its file, with ``-`` for ``_``.
        rank: Its place on the way from this machine to the account: of several troubles the one with the lowest rank
            explains those above it. Also the order in its section.
        gives: What `measure` gives: one of the types of `gateway.doctor.measured`.
        measure: Does the I/O. It raises nothing: what failed is part of what was measured. It is cancelled after
            ``seconds``.
        judge: Reads measurements, pure and total. It gives at least one check when its own measurement is there.
        after: The types of measurement that `measure` reads. It starts when all of them are there or never will be.
        seconds: Its time limit. The whole run has one of its own.
        touches: What it contacts, as ``host:port`` or ``address:port``; for the announcement.
        unasked: It may run when nobody asked for it: it touches only the target, the proxy and the status page.
        leave_out: A reason to skip it in this case, empty to run it. The reason is shown: it is the text of a clue, or
            a clue where it has facts.
    """

    name: str
    group: Group
    rank: int
    gives: type[Any]
    measure: Callable[[Case, Done], Awaitable[object]]
    judge: Callable[[Case, Done], Iterable[Check]]
    after: tuple[type[Any], ...] = ()
    seconds: float = 4.0
    touches: Callable[[Case], Iterable[str]] = nothing
    unasked: bool = False
    leave_out: Callable[[Case], str | Clue] = always


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one probe.

    Attributes:
        measured: None when it was skipped, ran out of time or broke.
        unfinished: It was to measure and did not come to an end, so nobody knows whether all is well there.
        why: Why there is no measurement, as `Probe.leave_out` gives it; empty when there is one.
    """

    probe: Probe
    measured: object | None = None
    why: str | Clue = ""
    unfinished: bool = False
    took_ms: float = 0.0
    checks: tuple[Check, ...] = field(default=())
