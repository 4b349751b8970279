"""F09: the upstream comes and goes. Who calls while it is up is served, and nobody keeps it down."""

import asyncio
import time
from dataclasses import dataclass, field

import httpx2

from gateway.egress.breaker import OPEN_MAX_SECONDS
from gateway.egress.budget import FLOOR, RATIO, WINDOW_SECONDS
from tests.faults.clients import ClientRow, Seen, new_key
from tests.faults.field import Case
from tests.faults.inject.answer import answer
from tests.faults.inject.flapping import flapping
from tests.faults.inject.with_headers import with_headers
from tests.faults.never_sent import SLACK_SECONDS

EDGE_SECONDS = 0.1
"""So near to a change nobody can say what a call meets."""


@dataclass
class Storm:
    """Many calls of one key, at a steady pace.

    Attributes:
        ended: When each call began and ended (monotonic seconds), and with which status.
        ups: From when to when the upstream was up.
    """

    case: Case
    url: str
    row: ClientRow
    ended: list[tuple[float, float, int]] = field(default_factory=list)
    ups: list[tuple[float, float]] = field(default_factory=list)

    async def call(self, client: httpx2.AsyncClient) -> int:
        self.row.requests += 1
        began = time.monotonic()
        headers = {"authorization": f"Bearer {self.row.key}", "x-test-id": self.row.mark}
        said = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"call {self.row.requests}"}]}
        given = await client.post(f"{self.url}/chat/completions", headers=headers, json=said, timeout=20)
        self.row.answers.append(Seen(given.status_code, dict(given.headers)))
        self.ended.append((began, time.monotonic(), given.status_code))
        return given.status_code

    async def blow(self, client: httpx2.AsyncClient, seconds: float, per_second: float) -> None:
        """Call so often, whatever becomes of the calls before."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number in range(int(seconds * per_second)):
                await asyncio.sleep(max(0.0, start + number / per_second - time.monotonic()))
                calls.create_task(self.call(client))

    async def recovered_after(self, client: httpx2.AsyncClient, since: float) -> float:
        """Call until it is answered; give how long that took."""
        async with asyncio.timeout(10):
            while await self.call(client) != 200:  # noqa: ASYNC110 - it is the waiting that is measured
                await asyncio.sleep(0.02)
        self.row.outcome, self.row.status = "answer", 200
        return time.monotonic() - since


async def flap(case: Case, per_second: float) -> tuple[Storm, float, int]:
    """Let it flap under so many calls a second; give them, how long recovery took, and the calls that it took them."""
    phase_seconds, phases = (2.0, 30) if case.full else (1.0, 4)
    # What the kernel had taken for a port that went down before anybody accepted it is reset with what it carried.
    row = ClientRow(case.plan(with_headers(answer(), ("connection", "close"))), new_key(), lossy=True)
    case.clients.rows.append(row)
    async with (
        httpx2.AsyncClient(trust_env=False, limits=httpx2.Limits(max_connections=200)) as client,
        flapping(case.field.upstream.port) as port,
    ):
        storm = Storm(case, case.field.adopt(f"http://127.0.0.1:{port.port}/v1"), row)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(storm.blow(client, phase_seconds * phases, per_second))
            for _ in range(phases // 2):
                await port.up()
                up_at = time.monotonic()
                await asyncio.sleep(phase_seconds)
                port.down()
                storm.ups.append((up_at, time.monotonic()))
                await asyncio.sleep(phase_seconds)
            await port.up()
            recovery_seconds = await storm.recovered_after(client, time.monotonic())
        assert await storm.call(client) == 200
        await port.end()
    return storm, recovery_seconds, port.dials


def kept_to_the_budget(case: Case, storm: Storm, dials: int) -> None:
    flows = case.flows(storm.row)
    attempts = sum(len(flow["attempts"]) for flow in flows)
    seconds = storm.ended[-1][1] - storm.ended[0][0]
    assert attempts <= len(flows) * (1 + RATIO) + FLOOR * (1 + seconds / WINDOW_SECONDS)
    assert len(case.received(storm.row)) == dials <= len(flows)
    for flow in flows:  # a connection that nobody had accepted yet when the port went down may have carried it
        repeated = [attempt["failure"] for attempt in flow["attempts"][:-1] if attempt["failure"] is not None]
        assert flow["possible_duplicate"] == any(failure["sent"] for failure in repeated)
    causes = {flow["cause"] for flow in flows}
    assert causes <= {None, "network.tcp_refused", "network.connection_reset", "proxy.circuit_open"}


def served_while_up(storm: Storm) -> list[bool]:
    """Say of every call that clearly began while the upstream was up whether it was served."""
    return [
        status == 200
        for began, _, status in storm.ended
        if any(up + EDGE_SECONDS < began < down - EDGE_SECONDS for up, down in storm.ups)
    ]


async def test_who_calls_while_a_flapping_upstream_is_up_is_served(case: Case) -> None:
    """Retries help some over the end of an outage, too; the breaker has no reason to open."""
    storm, recovery_seconds, dials = await flap(case, per_second=6)
    kept_to_the_budget(case, storm, dials)
    assert all(served_while_up(storm))
    assert len(served_while_up(storm)) >= len(storm.ups)
    assert recovery_seconds < SLACK_SECONDS


async def test_a_breaker_that_opened_lets_go_soon_after_the_upstream_came_to_stay(case: Case) -> None:
    storm, recovery_seconds, dials = await flap(case, per_second=60)
    kept_to_the_budget(case, storm, dials)
    broken = [seen for seen in storm.row.answers if seen.cause == "proxy.circuit_open"]
    assert broken
    assert all(seen.status == 503 and 1 <= int(seen.headers["retry-after"]) <= 2 for seen in broken)
    assert recovery_seconds < OPEN_MAX_SECONDS + SLACK_SECONDS


async def test_a_breaker_that_opened_costs_nobody_who_calls_while_the_upstream_is_up(case: Case) -> None:
    storm, _, _ = await flap(case, per_second=60)
    served = served_while_up(storm)
    assert sum(served) >= 0.9 * len(served), f"{sum(served)} of {len(served)}"
