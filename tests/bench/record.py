"""What the log costs: rows written in a second, and each kind of query on a long one.

Run: ``uv run python -m tests.bench.record [ROWS] [FILE]`` (1,000,000 rows take about 1.2 GiB; FILE is kept and used again)
"""

import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.model.flow import FlowRow, State
from gateway.record.backends.sqlite import FlowStore, Ready
from gateway.record.filter import FlowFilter
from gateway.record.query import Reader
from gateway.record.row import utc_text

ROWS, BATCH, DAYS = 1_000_000, 500, 7
NOW = 1_790_000_000.0
LIMIT_MS = 200.0
PAGE_ROWS = 100
RUNS = 3
RARE_AT, RARE_ROWS = 0.1, 20
"""Where in the log the rare rows stand (0 is the oldest), and how many they are."""

_MODELS = {
    "openai": ("gpt-5", "gpt-5-mini", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small"),
    "anthropic": ("claude-sonnet-4-5", "claude-opus-4-1", "claude-haiku-4-5"),
    "gemini": ("gemini-2.5-flash", "gemini-2.5-pro"),
}
_HOSTS = {"openai": "api.openai.com", "anthropic": "api.anthropic.com", "gemini": "generativelanguage.googleapis.com"}
_PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
_FAILURES = (
    ("rate_limit.tokens", "caller", 429, "Tokens per minute used up", "The organisation used {} of 200,000 tokens."),
    ("rate_limit.requests", "caller", 429, "Requests per minute used up", "{} requests were made in a minute."),
    ("service.overloaded", "provider", 529, "The service is overloaded", "The service refused after {} ms."),
    ("network.read_timeout", "network", None, "No answer in time", "Nothing came for {} ms."),
    ("request.invalid", "caller", 400, "The request is not valid", "The parameter at {} is not known."),
)
_PHASES = [{"name": name, "start_ms": 1.25, "end_ms": 20.5, "ok": True} for name in ("dns", "connect", "tls", "body")]


def rows(count: int) -> Iterator[FlowRow]:
    """Calls of a team over a week: seven of a hundred fail, some are tunnels, some ask for what has an id."""
    dice = random.Random(11)
    keys = [f"{dice.getrandbits(32):08x}" for _ in range(10)]
    clients = ["127.0.0.1", *(f"10.0.{n}.7" for n in range(12))]
    hosts = [f"host-{n}.example" for n in range(100)]
    for number in range(1, count + 1):
        began = NOW - DAYS * 86_400 * (1 - number / count)
        provider = dice.choices(("openai", "anthropic", "gemini"), (70, 25, 5))[0]
        key = dice.randrange(10)
        model = dice.choice(_MODELS[provider])
        path = _PATHS.get(provider, f"/v1beta/models/{model}:generateContent")
        changes: dict[str, Any] = {}
        chance = dice.random()
        if chance < 0.07:
            cause, fault, status, title, happened = dice.choice(_FAILURES)
            said = {"cause": cause, "title": title, "what_happened": happened.format(dice.randrange(10**6))}
            changes = {"cause": cause, "fault": fault, "status": status, "precision": "declared", "diagnosis": said}
        elif chance < 0.10:
            changes = {"method": "GET", "path": f"/v1/responses/resp_{dice.getrandbits(128):032x}", "model": ""}
        elif chance < 0.12:
            changes = {"kind": "tunnel", "host": dice.choice(hosts), "method": "CONNECT", "path": "", "model": ""}
        if 0 <= number - int(count * RARE_AT) < RARE_ROWS:
            changes = {"model": "rare-model-1", "tenant": "team-rare", "status": 418}
        values: dict[str, Any] = {
            "id": f"{int(began * 1000):012x}{dice.getrandbits(56):014x}",
            "seq": number,
            "rev": 4,
            "state": State.DONE,
            "started_at": utc_text(began),
            "ended_at": utc_text(began + 0.9),
            "client": f"{dice.choice(clients)}:{dice.randrange(32_768, 61_000)}",
            "tenant": f"team-{key % 3}",
            "key": keys[key],
            "provider": provider,
            "method": "POST",
            "host": _HOSTS[provider],
            "path": path,
            "endpoint": "chat.completions" if provider == "openai" else "messages",
            "model": model,
            "status": 200,
            "attempts": ({"n": 1, "waited_ms": 0.0, "phases": _PHASES, "status": 200, "failure": None},),
            "total_ms": 912.4,
            "tokens_in": 812,
            "tokens_out": 96,
        }
        yield FlowRow(**(values | changes))


def fill(path: Path, count: int) -> None:
    store = FlowStore(path)
    spent = longest = 0.0
    made = rows(count)
    while batch := [Ready.of(row) for row in itertools.islice(made, BATCH)]:
        began = time.perf_counter()
        store.write(batch)
        took = time.perf_counter() - began
        spent, longest = spent + took, max(longest, took)
    store.close()
    size = path.stat().st_size
    print(
        f"{'written':44} {count / spent:9,.0f} rows/s  longest batch {longest * 1000:.0f} ms  {size / count:.0f} bytes a row"
    )


def trickle(directory: Path, count: int = 2_000) -> None:
    """Rows that come one by one: each is a commit of its own."""
    store = FlowStore(directory / "trickle.db")
    batches = [[Ready.of(row)] for row in rows(count)]
    began = time.perf_counter()
    for batch in batches:
        store.write(batch)
    print(f"{'written one by one':44} {count / (time.perf_counter() - began):9,.0f} rows/s")
    store.close()


def purge(directory: Path, count: int = 30_000) -> None:
    store = FlowStore(directory / "purge.db")
    made = rows(count)
    while batch := [Ready.of(row) for row in itertools.islice(made, BATCH)]:
        store.write(batch)
    began = time.perf_counter()
    deleted = store.purge(before=utc_text(NOW), max_bytes=2**40)
    print(f"{'deleted':44} {deleted / (time.perf_counter() - began):9,.0f} rows/s")
    store.close()


def questions() -> Iterator[tuple[str, FlowFilter]]:
    """Each filter alone with a value that is common, rare and absent; all pairs of them; words; times."""
    values: dict[str, tuple[str, ...]] = {
        "cause": ("*", "rate_limit.*", "network.read_timeout", "quota.exhausted"),
        "fault": ("caller", "policy"),
        "status": ("200", "4xx", "418", "302"),
        "provider": ("openai", "gemini", "nobody"),
        "model": ("gpt-5", "rare-model-1", "no-such-model"),
        "tenant": ("team-0", "team-rare", "nobody"),
        "kind": ("api", "tunnel", "websocket"),
        "since": tuple(utc_text(NOW - age) for age in (900, 86_400, 6 * 86_400, -3_600)),
        "q": (
            "openai", "completions", "rare-model-1", "nowhere-to-be-found", "zq", "4o", "e", "é", "host-77", "gpt-5 openai",
            "10.0.3.7", "10.0.3.7:4", "resp_", "tokens minute", "used of 200,000", "999999", "0a1b2c", "beefbeef", "chatgpt",
            "team-1 anthropic read_timeout", "resp_ nowhere",
        ),
    }  # fmt: skip
    yield "nothing", FlowFilter()
    for name, given in values.items():
        for value in given:
            yield f"{name}={value}", FlowFilter(**{name: value})
    for (name, given), (other, more) in itertools.combinations(values.items(), 2):
        for value, second in itertools.product(given, more):
            yield f"{name}={value} {other}={second}", FlowFilter(**{name: value, other: second})


def ask(path: Path, count: int) -> None:
    """Ask everything. Both clocks are shown: where others use the machine, the wall's tells of them as well."""
    reader = Reader.open(path)
    times: list[tuple[float, float, str]] = []
    for (name, wanted), (where, cursor) in itertools.product(
        questions(), (("", None), (" from the middle", str(count // 2)))
    ):
        runs = []
        for _ in range(RUNS):
            began, spent = time.perf_counter(), time.process_time()
            found = reader.page(wanted, cursor, PAGE_ROWS)
            runs.append(((time.process_time() - spent) * 1000, (time.perf_counter() - began) * 1000))
            if runs[-1][1] < LIMIT_MS / 4:
                break
        cpu, wall = min(runs)
        times.append((cpu, wall, f"{name}{where} ({len(found.flows)})"))
        if name.count("=") <= 1:
            print(f"{name + where:44} {cpu:9.1f} ms of CPU {wall:9.1f} ms  {len(found.flows)} rows", flush=True)
    times.sort(reverse=True)
    slow = [
        sum(took >= LIMIT_MS for took in clock)
        for clock in ([cpu for cpu, _, _ in times], [wall for _, wall, _ in times])
    ]
    middle = times[len(times) // 2]
    print(
        f"\n{len(times)} queries; over {LIMIT_MS:.0f} ms: {slow[0]} of CPU, {slow[1]} in all. Median {middle[0]:.1f} ms of CPU"
    )
    for cpu, wall, name in times[:15]:
        print(f"  {name:60} {cpu:9.1f} ms of CPU {wall:9.1f} ms")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(directory) / "flows.db"
        trickle(Path(directory))
        purge(Path(directory))
        if not path.exists():
            fill(path, count)
        with closing(FlowStore(path)._connection) as connection:
            count = connection.execute("SELECT max(seq) FROM details").fetchone()[0]
        ask(path, count)


if __name__ == "__main__":
    main()
