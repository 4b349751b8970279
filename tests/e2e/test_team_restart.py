"""Gateways of a team are exchanged one after the other while answers stream: none of them is cut."""

import asyncio
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from tests.e2e.teamwork import PATH, Teamwork, team_key, teamwork
from tests.running import GatewayProcess

STREAMS = 200
EVENTS, EVERY_MS = 40, 500
"""A stream lasts twenty seconds."""

RULE = '[[limits.rules]]\nprovider = "openai"\nper_second = 200\n'


class Streams:
    """Streams in a thread of their own, the same number through each gateway."""

    def __init__(self, gateways: list[GatewayProcess], number: int) -> None:
        self.whole = 0
        self.cut: list[str] = []
        self.begun = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all(gateways, number)), daemon=True)
        self._thread.start()

    async def _all(self, gateways: list[GatewayProcess], number: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for place in range(number):
                tasks.create_task(self._one(gateways[place % len(gateways)], place))

    async def _one(self, gateway: GatewayProcess, place: int) -> None:
        headers = {
            "authorization": f"Bearer {team_key('a')}", "x-simulate-events": f"{EVENTS}",
            "x-simulate-interval-ms": f"{EVERY_MS}",
        }  # fmt: skip
        messages = [{"role": "user", "content": f"{place} " * EVENTS}]
        body = {"model": "gpt-4o-mini", "stream": True, "messages": messages}
        ended = False
        try:
            async with (
                httpx2.AsyncClient(trust_env=False, timeout=60) as client,
                client.stream("POST", gateway.proxy + PATH, json=body, headers=headers) as answer,
            ):
                self.begun += answer.status_code == 200
                async for line in answer.aiter_lines():
                    if line.startswith("data: {") and "error" in json.loads(line[6:]):
                        self.cut.append(line)
                    ended = ended or line == "data: [DONE]"
        except httpx2.HTTPError as error:
            self.cut.append(repr(error))
            return
        self.whole += ended

    def wait(self) -> None:
        self._thread.join(90)
        assert not self._thread.is_alive()


def _exchange(team: Teamwork, old: GatewayProcess) -> tuple[GatewayProcess, float]:
    """Start one in its place, tell the old one to end, and give how long it took for that."""
    new = team.add()
    assert team.health(old)["running"] >= STREAMS // 4, "it has streams to lose"
    old.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert old.process.wait(60) == 0
    return new, time.monotonic() - began


def test_a_rolling_restart_of_three_cuts_none_of_two_hundred_streams(tmp_path: Path) -> None:
    with teamwork(tmp_path, extra=RULE) as team:
        team.introduce("a")
        olds = list(team.gateways)
        streams = Streams(olds, STREAMS)
        GatewayProcess.until(lambda: streams.begun == STREAMS, 20)
        with ThreadPoolExecutor(3) as threads:
            exchanged = []
            for old in olds:  # one after the other; each drains while the next is exchanged
                exchanged.append(threads.submit(_exchange, team, old))
                threading.Event().wait(0.5)
            took = [each.result()[1] for each in exchanged]
        streams.wait()
        print(
            f"{streams.whole} of {STREAMS} whole, {len(streams.cut)} cut; drained in {[round(one, 1) for one in took]} s"
        )
        assert streams.cut == []
        assert streams.whole == STREAMS
        GatewayProcess.until(lambda: team.is_together(3), 15)
        again = Streams([one for one in team.gateways if one not in olds], 6)
        again.wait()
        assert again.whole == 6
