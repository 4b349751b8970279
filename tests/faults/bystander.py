"""An innocent stream on another host and key, which a case must not hurt."""

import contextlib
import re
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.clients import ClientRow, Seen
from tests.running import GatewayProcess

GAP_SECONDS = 0.02
BEFORE_EVENTS = 25
"""Watched before the case begins: what is usual on this machine now."""

LATER_SECONDS = 0.1
"""By so much the slowest tenth of the events may come later than usual."""

WORST_SECONDS = 0.5
"""By so much any event may. A loop that is held up for longer than that is seen, however short the case."""

_SENT_AT = re.compile(r'"text": ?"([0-9.]+)"')


class HurtError(AssertionError):
    """The case held up somebody who had nothing to do with it."""


@dataclass
class Bystander:
    """A stream that is read in a thread of its own.

    Attributes:
        late_seconds: Of each event, the time from being sent to being read.
        machine_seconds: How late a thread woke up that does nothing: what others on this machine took, not the gateway.
    """

    gateway: GatewayProcess
    row: ClientRow
    over: threading.Event
    late_seconds: list[float] = field(default_factory=list)
    machine_seconds: list[float] = field(default_factory=lambda: [0.0])
    before: int = 0

    def read(self) -> None:
        headers = {"x-api-key": self.row.key, "anthropic-version": "2023-06-01", "x-test-id": self.row.mark}
        body = {
            "model": "claude-haiku-5-5", "max_tokens": 9, "stream": True,
            "messages": [{"role": "user", "content": "tick"}],
        }  # fmt: skip
        url = "https://api.anthropic.com/v1/messages"
        self.row.requests += 1
        with self.gateway.client() as client, client.stream("POST", url, headers=headers, json=body) as answer:
            self.row.answers.append(Seen(answer.status_code, dict(answer.headers)))
            for line in answer.iter_lines():
                if found := _SENT_AT.search(line):
                    self.late_seconds.append(time.monotonic() - float(found[1]))
        self.row.outcome, self.row.status = "answer", answer.status_code

    def watch_machine(self) -> None:
        asked = time.monotonic()
        while not self.over.wait(GAP_SECONDS):
            now = time.monotonic()
            self.machine_seconds.append(now - asked - GAP_SECONDS)
            asked = now

    @contextlib.contextmanager
    def beside(self, seconds: float = 10.0) -> Iterator[None]:
        """Run it beside what the block does.

        Raises:
            HurtError: Its events came later than before, or it broke.
        """
        work = (self.read, self.watch_machine)
        threads = [threading.Thread(target=one, daemon=True, name="bystander") for one in work]
        for thread in threads:
            thread.start()
        try:
            self.gateway.until(lambda: len(self.late_seconds) >= BEFORE_EVENTS, seconds)
            self.before = len(self.late_seconds)
            yield
            self.gateway.until(lambda: len(self.late_seconds) >= self.before + BEFORE_EVENTS, seconds)
        finally:
            self.over.set()
            for thread in threads:
                thread.join(seconds)
        self.judge()

    def judge(self) -> None:
        if self.row.outcome != "answer" or self.row.status != 200:
            raise HurtError(f"the innocent stream ended as {self.row.outcome} {self.row.status}")
        usual, then = (_slow(part) for part in (self.late_seconds[: self.before], self.late_seconds[self.before :]))
        worst, machine = max(self.late_seconds[self.before :]), max(self.machine_seconds)
        if then > usual + machine + LATER_SECONDS or worst > usual + machine + WORST_SECONDS:
            raise HurtError(
                f"the innocent stream's events came {then * 1000:.0f} ms late (usual {usual * 1000:.0f} ms,"
                f" the worst {worst * 1000:.0f} ms; the machine itself {machine * 1000:.0f} ms)"
            )


def _slow(seconds: list[float]) -> float:
    """Give what nine of ten stay below."""
    return statistics.quantiles(seconds, n=10)[-1]
