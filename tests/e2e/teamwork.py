"""A team of gateways before one provider, and a crowd of apps that wants more than the team may have."""

import asyncio
import contextlib
import itertools
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from gateway.simulate import LedgerRow
from gateway.simulate.provider import key_hash_of
from tests.e2e.world import Overheard, Provider
from tests.redis_server import RedisServer, redis_server
from tests.running import GatewayProcess, config_for

PER_SECOND = 100
EVERY_SECONDS = 0.2
"""Between two calls of one client, if the first was answered by then."""

PATH = "/openai/v1/chat/completions"
_numbers = itertools.count(1)


class OneOrganisation(Overheard):
    """Says of every key that it is of the same organisation."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def named(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [one for one in message.get("headers", ()) if not one[0].startswith(b"openai-")]
                message = {**message, "headers": [*kept, (b"openai-organization", b"org-of-the-team")]}
            await send(message)

        await super().__call__(scope, receive, named)


def team_key(name: str) -> str:
    """Give the key of one part of the team."""
    return f"sk-proj-{name}-{'t' * 32}"


def headers_of(name: str, tokens: Mapping[str, str]) -> dict[str, str]:
    """Give what a part of the team sends: its key, and its token where it is a tenant."""
    token = {"x-whygate-token": tokens[name]} if name in tokens else {}
    return {"authorization": f"Bearer {team_key(name)}"} | token


@dataclass
class Said:
    """What the clients of a crowd were told: when, by which gateway, whose call it was, and the status."""

    answers: list[tuple[float, int, str, int]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Any]:
        return [one for one in self.answers if one[3] != 200] + self.broken

    def slowest(self) -> float:
        return max(self.took, default=0.0)

    took: list[float] = field(default_factory=list)


class Crowd:
    """Clients in a thread of their own: each calls, waits for its answer, and calls again."""

    def __init__(
        self,
        members: Sequence[tuple[GatewayProcess, str]],
        seconds: float,
        every: float,
        tokens: Mapping[str, str] | None = None,
    ) -> None:
        self.said = Said()
        self._tokens = tokens or {}
        self._over = threading.Event()
        self._ends = time.monotonic() + seconds
        self._every, self._members = every, members
        self._done: Future[None] = Future()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
            self._done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - the test is told
            self._done.set_exception(error)

    async def _all(self) -> None:
        self._trusted = ssl.create_default_context()  # once: for each client it would take the time of many calls
        async with asyncio.TaskGroup() as tasks:
            for place, (gateway, name) in enumerate(self._members):
                tasks.create_task(self._one(place, gateway, name))

    async def _one(self, place: int, gateway: GatewayProcess, name: str) -> None:
        headers = headers_of(name, self._tokens) | {"x-whygate-cache": "no-cache"}
        how: dict[str, Any] = {"trust_env": False, "timeout": 70, "verify": self._trusted}
        async with httpx2.AsyncClient(base_url=gateway.proxy, headers=headers, **how) as client:
            await asyncio.sleep(place % 20 * self._every / 20)
            while time.monotonic() < self._ends and not self._over.is_set():
                began = time.monotonic()
                text = f"{next(_numbers)}"
                body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
                try:
                    answer = await client.post(PATH, json=body)
                except httpx2.HTTPError as error:
                    self.said.broken.append(repr(error))
                    await asyncio.sleep(self._every)
                    continue
                now = time.monotonic()
                self.said.answers.append((now, id(gateway), name, answer.status_code))
                self.said.took.append(now - began)
                await asyncio.sleep(max(0.0, self._every - (now - began)))

    def stop(self) -> Said:
        """Let everybody finish, and give what they were told."""
        self._over.set()
        return self.wait()

    def wait(self) -> Said:
        self._done.result(120)
        return self.said


@dataclass
class Teamwork:
    """See the module."""

    redis: RedisServer
    provider: Provider
    gateways: list[GatewayProcess]
    directory: Path
    settings: str
    tokens: Mapping[str, str] = field(default_factory=dict)

    def add(self) -> GatewayProcess:
        """Start one more gateway."""
        place = self.directory / f"gateway-{next(_numbers)}"
        env = {f"TOKEN_{name.upper()}": token for name, token in self.tokens.items()}
        gateway = GatewayProcess(place, config_for(self.provider.port, self.settings), env=env)
        self.gateways.append(gateway)
        return gateway

    def health(self, gateway: GatewayProcess) -> dict[str, Any]:
        url = f"http://{gateway.runtime['page']}/api/health"
        token = {"authorization": f"Bearer {gateway.runtime['token']}"}
        found: dict[str, Any] = httpx2.get(url, headers=token, trust_env=False, timeout=20).raise_for_status().json()
        return found

    def is_together(self, gateways: int | None = None) -> bool:
        """Whether all that run count together, and know how many they are."""
        running = [one for one in self.gateways if one.process.poll() is None]
        wanted = {"state": "together", "gateways": len(running) if gateways is None else gateways, "why": None}
        return all(self.health(one)["team"] == wanted for one in running)

    def meet(self, seconds: float = 15.0) -> None:
        """Wait until they do."""
        GatewayProcess.until(self.is_together, seconds)

    def introduce(self, *names: str) -> None:
        """Let every gateway hear of each key whose account it is."""
        for gateway, name in itertools.product(self.gateways, names):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{next(_numbers)}"}]}
            headers = headers_of(name, self.tokens)
            url = gateway.proxy + PATH
            assert httpx2.post(url, json=body, headers=headers, trust_env=False, timeout=30).status_code == 200

    def crowd(self, *members: tuple[GatewayProcess, str], seconds: float, every: float = EVERY_SECONDS) -> Crowd:
        return Crowd(members, seconds, every, self.tokens)

    def rows(self, since: float, until: float) -> list[LedgerRow]:
        """Give what the provider was asked from one moment (Unix seconds) to another."""
        rows = sorted(self.provider.simulator.ledger.rows, key=lambda row: row.started_at)
        return [row for row in rows if since <= row.started_at < until]


def shares(rows: Sequence[LedgerRow], *names: str) -> Counter[str]:
    """Count the calls of each key."""
    known = {key_hash_of(team_key(name)): name for name in names}
    return Counter(known[row.key_hash] for row in rows if row.key_hash in known)


def most_in(rows: Sequence[LedgerRow], seconds: float) -> int:
    """Give the most calls that began in any stretch of so many seconds."""
    most = first = 0
    for last, row in enumerate(rows):
        while rows[first].started_at <= row.started_at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextlib.contextmanager
def teamwork(
    directory: Path, gateways: int = 3, extra: str = "", tokens: Mapping[str, str] | None = None, **provider: Any
) -> Iterator[Teamwork]:
    """Start Redis, a provider without limits of its own, and gateways that may make 100 calls a second together.

    Args:
        tokens: Of tenants that ``extra`` names, with ``token_env = "TOKEN_<NAME>"``.
    """
    rule = (
        f'[[limits.rules]]\nprovider = "openai"\nper_second = {PER_SECOND}\n' if "[[limits.rules]]" not in extra else ""
    )
    changes: dict[str, Any] = {"state_limits": False, "simulator": OneOrganisation} | provider
    simulated = Provider(**changes)
    with redis_server(directory / "redis") as redis, contextlib.ExitStack() as ends:
        ends.callback(simulated.close)
        settings = f'[team]\nredis = "{redis.url}"\nreplicas = {gateways}\n{rule}{extra}'
        made = Teamwork(redis, simulated, [], directory, settings, tokens or {})
        ends.callback(lambda: [one.stop() for one in made.gateways])
        for _ in range(gateways):
            made.add()
        made.meet()
        yield made
