"""What outlives a restart beside the log and the cache: limits, and what budgets have counted."""

from collections.abc import Coroutine, Iterator
from typing import Any

from gateway.budgets_kept import FILE_NAME, KeptBudgets
from gateway.limit.gate import Gate
from gateway.limit.team import TeamGate
from gateway.model.clock import Clock
from gateway.remembered import Remembered
from gateway.state import State
from gateway.team import TeamParts


class Memory:
    """All of it for one gateway."""

    def __init__(self, state: State, gate: Gate, team: TeamParts, clock: Clock) -> None:
        self._kept: list[KeptBudgets | Remembered] = [Remembered(state.limits_json, gate, clock)]
        if isinstance(gate, TeamGate):
            self._kept += [
                Remembered(state.directory / f"limits-{name}.json", own, clock) for name, own in gate.own.items()
            ]
        if team.counts_here:
            self._kept.append(KeptBudgets(state.directory / FILE_NAME, team.counted))

    def load(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Take up what an earlier gateway has left; give what keeps it from now on, to be run."""
        for kept in self._kept:
            kept.load()
            yield kept.run()

    def save(self) -> None:
        """Keep how it is now."""
        for kept in self._kept:
            kept.save()
