"""Never hit the limit: how near to the least possible time a burst of calls is done, and what it wastes.

Run: ``uv run python -m tests.bench.limits [scenario...]``; without a name, all of them, some three minutes.

A simulated provider has a limit that nobody is told of beforehand. Apps with the official SDK fire four times as fast
as it allows: straight at the provider (``plain SDK``), then through a gateway that knows nothing but where the
provider is. Each line says:

    answered   calls that the app got an answer to, of how many
    seconds    from the first call's start to the last call's end
    x least    beside the least time in which the limit lets so many answers (or their tokens) through
    429s       refusals that the provider sent, whoever saw them, and their share of the calls
    in vain    calls that the provider did (and would charge for) beyond those that were answered; behind it, how many of
               them were one body done twice

A run ends after 80 seconds, whatever is still open. Nothing is asserted.
"""

import asyncio
import contextlib
import itertools
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from gateway.simulate import LedgerRow
from tests.e2e.world import Provider
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

CALLS, WORKERS, PER_SECOND = 240, 40, 80.0
PER_MINUTE, BURST = 1_200, 5
TOKENS_PER_MINUTE, BURST_TOKENS = 600_000, 5_000
SMALL_TOKENS, LARGE_TOKENS = 20, 1_000
MAX_TOKENS = 8
"""Of an answer; the provider counts at most so many beside the prompt's."""

ANSWER_SECONDS = 0.05
RUN_SECONDS, MARGIN_SECONDS = 80.0, 8.0
PATIENCE_SECONDS = (0.2, 1.0)

Job = dict[str, Any]


class Fired(NamedTuple):
    """What the apps saw, all together."""

    began: float
    ended: float
    answered: int
    tokens: int
    gave_up: int
    errors: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to meet a limit.

    Attributes:
        settings: The provider's.
        sizes: Tokens of the prompts, in turn.
        processes: Apps, each with its share of the calls and a gateway of its own; all with one key.
        lowered_at: Seconds after the first call when the provider halves its limit.
        gives_up: Whether three calls in ten are given up by their client after a moment.
        least_seconds: The least time for these answers, and for a limit that was really lowered after so many seconds.
    """

    settings: dict[str, Any]
    sizes: tuple[int, ...] = (SMALL_TOKENS,)
    processes: int = 1
    lowered_at: float | None = None
    gives_up: bool = False
    least_seconds: Callable[[Fired, float], float] = field(
        default=lambda fired, _: (fired.answered - BURST) / (PER_MINUTE / 60)
    )


def least_for_tokens(fired: Fired, _: float) -> float:
    return (fired.tokens - BURST_TOKENS) / (TOKENS_PER_MINUTE / 60)


def least_when_lowered(fired: Fired, lowered_after: float) -> float:
    rate = PER_MINUTE / 60
    later = fired.answered - BURST - rate * lowered_after
    return lowered_after + later / (rate / 2) if later > 0 else (fired.answered - BURST) / rate


REQUESTS = {"requests_per_minute": PER_MINUTE, "burst": BURST}
SCENARIOS = {
    "requests": Scenario(settings=REQUESTS),
    "tokens": Scenario(
        settings={"tokens_per_minute": TOKENS_PER_MINUTE, "burst_tokens": BURST_TOKENS},
        sizes=(SMALL_TOKENS, LARGE_TOKENS),
        least_seconds=least_for_tokens,
    ),
    "two_processes": Scenario(settings=REQUESTS, processes=2),
    "lowered": Scenario(
        settings=REQUESTS, lowered_at=(CALLS - BURST) / (PER_MINUTE / 60) / 2, least_seconds=least_when_lowered
    ),
    "hang_ups": Scenario(settings=REQUESTS, gives_up=True),
    "strict_silent": Scenario(settings=REQUESTS | {"state_limits": False, "count_refused": True}),
}


class App:
    """A process that fires calls with the official SDK; it fires when it is told to."""

    def __init__(self, job: Job) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.limits", "--fire", json.dumps(job)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=CLEAN, text=True,
        )  # fmt: skip

    def until_ready(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the app did not start")

    def fire(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("fire\n")
        self.process.stdin.flush()

    def result(self) -> Fired:
        """Wait for its end."""
        out, _ = self.process.communicate(timeout=RUN_SECONDS + MARGIN_SECONDS)
        seen: dict[str, Any] = json.loads(out)
        return Fired(**seen | {"errors": Counter(seen["errors"])})

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


async def fire(job: Job) -> Fired:
    """Make the calls: each worker takes the next one, and waits until it is due."""
    import openai

    sizes = itertools.cycle(job["sizes"])
    due = iter([(number, next(sizes)) for number in range(job["calls"])])
    answered = tokens = gave_up = 0
    errors: Counter[str] = Counter()
    client = openai.AsyncOpenAI(base_url=job["base_url"], api_key=job["key"])
    create = client.chat.completions.create
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()

    async def call(number: int, size: int) -> None:
        nonlocal answered, tokens, gave_up
        prompt = f"{job['name']} {number} ".ljust(4 * size, "x")
        leaves = job["gives_up"] and number % 10 in {1, 4, 7}
        patience = random.Random(number).uniform(*PATIENCE_SECONDS) if leaves else None
        try:
            async with asyncio.timeout(patience):
                answer = await create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], max_tokens=MAX_TOKENS
                )
        except TimeoutError:
            gave_up += 1
        except openai.OpenAIError as exc:
            errors[type(exc).__name__] += 1
        else:
            answered += 1
            tokens += answer.usage.total_tokens if answer.usage else 0

    async def work() -> None:
        for number, size in due:
            await asyncio.sleep(max(0.0, began + number / job["per_second"] - time.monotonic()))
            await call(number, size)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RUN_SECONDS), asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(work())
    return Fired(began, time.monotonic(), answered, tokens, gave_up, errors)


def together(fired: list[Fired]) -> Fired:
    return Fired(
        began=min(one.began for one in fired),
        ended=max(one.ended for one in fired),
        answered=sum(one.answered for one in fired),
        tokens=sum(one.tokens for one in fired),
        gave_up=sum(one.gave_up for one in fired),
        errors=sum((one.errors for one in fired), Counter()),
    )


@contextlib.contextmanager
def gateways(directory: Path, provider: Provider, count: int) -> Iterator[list[GatewayProcess]]:
    """Run gateways that know where the provider is, and nothing else."""
    started: list[GatewayProcess] = []
    try:
        for number in range(count):
            started.append(GatewayProcess(directory / str(number), config_for(provider.port)))  # noqa: PERF401 - each is to be stopped
        yield started
    finally:
        for gateway in started:
            gateway.stop()


def fire_all(scenario: Scenario, provider: Provider, base_urls: list[str]) -> tuple[Fired, float]:
    """Fire from all apps at once; give what they saw, and after how many seconds the limit was lowered."""
    apps = [
        App(
            {
                "name": f"app {number}, call", "base_url": base_url, "key": "sk-bench", "sizes": scenario.sizes,
                "calls": CALLS // scenario.processes, "per_second": PER_SECOND / scenario.processes,
                "gives_up": scenario.gives_up,
            }
        )
        for number, base_url in enumerate(base_urls)
    ]  # fmt: skip
    lowered = 0.0
    try:
        for app in apps:
            app.until_ready()
        for app in apps:
            app.fire()
        if scenario.lowered_at is not None:
            threading.Event().wait(scenario.lowered_at)
            limits = {"requests_per_minute": PER_MINUTE // 2}
            url = f"http://127.0.0.1:{provider.port}/_simulate/limits"
            httpx2.post(url, json=limits, trust_env=False).raise_for_status()
            lowered = time.monotonic()
        fired = together([app.result() for app in apps])
    finally:
        for app in apps:
            app.close()
    return fired, max(0.0, lowered - fired.began)


def run(name: str, *, through: bool) -> None:
    """Run a scenario once and print its line."""
    scenario = SCENARIOS[name]
    provider = Provider(first_byte_seconds=ANSWER_SECONDS, **scenario.settings)
    try:
        with tempfile.TemporaryDirectory() as directory:
            if through:
                with gateways(Path(directory), provider, scenario.processes) as before:
                    fired, lowered_after = fire_all(scenario, provider, [f"{one.proxy}/openai/v1" for one in before])
            else:
                direct = f"http://127.0.0.1:{provider.port}/v1"
                fired, lowered_after = fire_all(scenario, provider, [direct] * scenario.processes)
        rows = provider.rows()
    finally:
        provider.close()
    show(name, "whygate" if through else "plain SDK", fired, scenario.least_seconds(fired, lowered_after), rows)


def show(name: str, who: str, fired: Fired, least: float, rows: list[LedgerRow]) -> None:
    seconds = fired.ended - fired.began
    refused = sum(row.status == 429 for row in rows)
    # Without a status, it was at work when it was left.
    done = [row.body_sha256 for row in rows if row.status == 200 or (row.status is None and row.billable)]
    vain, twice = len(done) - fired.answered, len(done) - len(set(done))
    ratio = f"{seconds / least:5.2f} x least" if least > 0 else "    - x least"
    notes = [f"{count} {kind}" for kind, count in fired.errors.most_common()]
    if fired.gave_up:
        notes.append(f"{fired.gave_up} given up by their client")
    if missing := CALLS - fired.answered - fired.gave_up - fired.errors.total():
        notes.append(f"{missing} still open at the end")
    print(
        f"{name:14} {who:9}  {fired.answered:3}/{CALLS} answered {seconds:6.2f} s {ratio}  "
        f"{refused:4} 429s ({refused / CALLS:4.0%})  {vain:3} in vain ({twice} twice)  {', '.join(notes)}".rstrip(),
        flush=True,
    )


def main(words: list[str]) -> None:
    """Print a line for each run."""
    if words[:1] == ["--fire"]:
        print(json.dumps(asyncio.run(fire(json.loads(words[1])))._asdict()))
        return
    if unknown := [word for word in words if word not in SCENARIOS]:
        sys.exit(f"No such scenario: {', '.join(unknown)}. There are {', '.join(SCENARIOS)}.")
    for name in words or SCENARIOS:
        for through in (False, True):
            run(name, through=through)


if __name__ == "__main__":
    main(sys.argv[1:])
