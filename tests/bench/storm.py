"""A provider that refuses everything for ten seconds: how much worse its callers make it, and how soon all is well.

Run: ``uv run python -m tests.bench.storm``; some two minutes.

Apps make 50 calls a second, each with a prompt of its own, whatever becomes of the ones before. After three seconds the
provider answers 503 to all, after thirteen it is well again. Straight, and through a gateway that knows nothing but
where the provider is; with the retries of the official SDK (two), and without. Each line says:

    asked        calls of the apps that began during the storm
    received     what the provider received meanwhile, and how many times the calls that is
    answered     calls of the storm that got an answer in the end
    well after   seconds from the storm's end after which 99 of 100 calls that begin are answered

Nothing is asserted.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from tests.faults.field import server_context
from tests.faults.inject.answer import answer
from tests.faults.inject.refused import overloaded
from tests.faults.upstream import Exchange, Upstream
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

PER_SECOND, BEFORE_SECONDS, STORM_SECONDS, AFTER_SECONDS = 50, 3.0, 10.0, 9.0
RUN_SECONDS = BEFORE_SECONDS + STORM_SECONDS + AFTER_SECONDS
MARGIN_SECONDS = 60.0
LIKELY = 0.99
MODEL = "gpt-4o-mini"


class Made(NamedTuple):
    """One call: when it began, on the clock that all processes share, and whether it was answered."""

    began: float
    ok: bool
    cause: str


class Weather:
    """A provider that refuses between two moments, and keeps the times at which it was asked."""

    def __init__(self) -> None:
        self.from_, self.to = float("inf"), float("inf")
        self.asked: list[float] = []
        self._good, self._bad = answer(), overloaded()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer as the weather is."""
        now = time.monotonic()
        self.asked.append(now)
        await (self._bad if self.from_ <= now < self.to else self._good)(exchange)


async def fire(job: dict[str, Any]) -> list[Made]:
    """Make the calls of one app; an open loop."""
    import openai

    made: list[Made] = []
    async with openai.AsyncOpenAI(
        api_key="sk-storm", base_url=job["base_url"], max_retries=job["max_retries"], timeout=30
    ) as client:

        async def one(number: int) -> None:
            began, ok, cause = time.monotonic(), True, ""
            try:
                await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": f"number {number}"}]
                )
            except openai.APIStatusError as error:
                ok, cause = False, error.response.headers.get("x-whygate-cause", str(error.status_code))
            except openai.OpenAIError as error:
                ok, cause = False, type(error).__name__
            made.append(Made(began, ok, cause))

        await one(-1)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        first = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(RUN_SECONDS * PER_SECOND)):
                await asyncio.sleep(max(0.0, first + number / PER_SECOND - time.monotonic()))
                tasks.create_task(one(number))
    return made[1:]


def run(name: str, base_url: str, weather: Weather, *, max_retries: int) -> None:
    """Run one app through the storm, and print its line."""
    job = json.dumps({"base_url": base_url, "max_retries": max_retries})
    app = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.storm", "--fire", job],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=CLEAN, text=True,
    )  # fmt: skip
    assert app.stdout is not None
    if app.stdout.readline() != "ready\n":
        raise RuntimeError("the app did not start")
    began = time.monotonic()
    weather.from_ = began + BEFORE_SECONDS
    weather.to = weather.from_ + STORM_SECONDS
    weather.asked.clear()
    out, _ = app.communicate("go\n", timeout=RUN_SECONDS + MARGIN_SECONDS)
    made = [Made(*each) for each in json.loads(out)]
    storm = [one for one in made if weather.from_ <= one.began < weather.to]
    received = sum(weather.from_ <= at < weather.to for at in weather.asked)
    answered = sum(one.ok for one in storm)
    print(
        f"{name:32} asked {len(storm):4}  received {received:5} = {received / len(storm):.2f}x  answered {answered:4}"
        f"  well after {well_after(made, weather.to):.1f} s"
    )


def well_after(made: list[Made], healed: float) -> float:
    """Give the least time after which so many of the calls that begin are answered; infinite when there is none."""
    later = sorted(one for one in made if one.began >= healed)
    for first, one in enumerate(later):
        rest = later[first:]
        if sum(each.ok for each in rest) >= LIKELY * len(rest):
            return one.began - healed
    return float("inf")


def main() -> None:
    """Print the table."""
    weather = Weather()
    upstream = Upstream(server_context(trustme.CA(), "localhost"), weather)
    try:
        straight = f"http://127.0.0.1:{upstream.port}/v1"
        for retries in (2, 0):
            run(f"straight, SDK retries {retries}", straight, weather, max_retries=retries)
            with tempfile.TemporaryDirectory() as directory:
                gateway = GatewayProcess(Path(directory), config_for(upstream.port))
                try:
                    through = f"{gateway.proxy}/openai/v1"
                    run(f"through whygate, SDK retries {retries}", through, weather, max_retries=retries)
                finally:
                    gateway.stop()
    finally:
        upstream.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fire"]:
        print(json.dumps(asyncio.run(fire(json.loads(sys.argv[2])))))
    else:
        main()
