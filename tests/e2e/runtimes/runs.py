"""Runs each program once by proxy and once by base URL, with the calls of all its clients in one batch."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from gateway.keyed import keyed_digest
from tests.e2e.runtimes.programs import COMMANDS, QUIET
from tests.e2e.runtimes.protocols import PROMPT, PROTOCOLS
from tests.e2e.runtimes.table import BASED, BYPASSED, PROVEN, PROVIDERS, PROXIED, Asked, Client
from tests.e2e.world import Provider, Row, World, new_key
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

PROGRAM_SECONDS = 100
_BYPASS = Asked("bypassed", "chat", "BYPASSED_BASE_URL", f"https://{BYPASSED}/v1", "gpt-4o-mini")


@dataclass(frozen=True, slots=True)
class Cell:
    """One call of the matrix."""

    client: Client
    provider: Asked
    way: str
    stream: bool

    def __str__(self) -> str:
        way = "proxied" if self.way == PROXIED else "based"
        return f"{self.client}-{self.provider}-{way}-{'stream' if self.stream else 'plain'}"

    @property
    def protocol(self) -> str:
        """What is spoken: a client of one protocol speaks it to the bypassed host too."""
        spoken = self.client.protocols
        return self.provider.protocol if self.provider.protocol in spoken else min(spoken)


def _cells() -> list[Cell]:
    return [
        Cell(client, provider, way, stream)
        for client in PROVEN
        for provider in PROVIDERS
        for way in (PROXIED, BASED)
        for stream in (False, True)
        if provider.protocol in client.protocols and (client.proxied or way == BASED)
    ]


CELLS = _cells()
BYPASSES = [Cell(client, _BYPASS, PROXIED, stream=False) for client in PROVEN if not client.proxied]


class Runs:
    """What every program said. A program runs when the first of its cells is looked at."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self._directory = directory
        self._said: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.keys: dict[str, str] = {}
        runtime = world.gateway.runtime
        token = {"authorization": f"Bearer {runtime['token']}"}
        self._page = httpx2.Client(base_url=f"http://{runtime['page']}", headers=token, trust_env=False)

    def close(self) -> None:
        """End the connection to the page."""
        self._page.close()

    def said(self, cell: Cell) -> dict[str, Any]:
        """Give what a program said of one call."""
        which = (cell.client.program, cell.way)
        if which not in self._said:
            command = COMMANDS[cell.client.program]()  # skips every cell of a runtime that is not here
            self._said[which] = {"": {"error": b"the program did not end well, see the first failure".hex()}}
            self._said[which] = self._run(*which, command)
        return self._said[which].get(str(cell), self._said[which].get("", {}))

    def row(self, cell: Cell) -> Row:
        """Wait for the call's finished row in the gateway's log."""

        def look() -> Row | None:
            (row,) = self.rows(cell) or [{}]
            return row if row.get("state") == "done" else None

        return GatewayProcess.until(look)

    def rows(self, cell: Cell) -> list[Row]:
        """Give the rows of the key that nothing but this call had."""
        secret = (self.world.gateway.state / "fingerprint.key").read_bytes()
        mark = keyed_digest(secret, self.keys[str(cell)].encode()).hex()[:8]
        found: list[Row] = self._page.get("/api/flows", params={"q": mark}).raise_for_status().json()["flows"]
        return [row for row in found if row["key"] == mark]

    def _run(self, program: str, way: str, command: list[str]) -> dict[str, dict[str, Any]]:
        cells = [cell for cell in CELLS + BYPASSES if (cell.client.program, cell.way) == (program, way)]
        options = ["--no-base-url" if way == PROXIED else "--base-url"]
        done = subprocess.run(
            [*self.world.run_command(*options), *command],
            input="".join(map(self._line, cells)), capture_output=True, text=True, timeout=PROGRAM_SECONDS,
            cwd=ROOT, env=CLEAN | QUIET | self._environment(way), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = {said["id"]: said for said in map(json.loads, done.stdout.splitlines())}
        assert set(found) == set(map(str, cells)), done.stderr
        return found

    def _environment(self, way: str) -> dict[str, str]:
        """Give what a user sets for a provider that `run` sets nothing for; and a place for Go's build cache."""
        own = {asked.variable: self.world.gateway.proxy + asked.mount for asked in PROVIDERS if asked.mount}
        return {"GOCACHE": str(self._directory / "go")} | (own if way == BASED else {})

    def _line(self, cell: Cell) -> str:
        asked, protocol = cell.provider, PROTOCOLS[cell.protocol]
        key = self.keys[str(cell)] = new_key(asked.name)
        return "\t".join((
            str(cell), cell.client.name, asked.variable, asked.base,
            protocol.paths[cell.stream].format(model=asked.model),
            "|".join(protocol.headers).format(key=key),
            json.dumps(protocol.body(asked.model, cell.stream)),
            key, asked.model, PROMPT, str(int(cell.stream)), cell.protocol,
        )) + "\n"  # fmt: skip


@contextmanager
def new_runs(directory: Path) -> Iterator[Runs]:
    """Make a gateway that sends every provider of the table, and the bypassed one, to a simulated provider."""
    provider = Provider()
    upstream = f'upstream = "http://127.0.0.1:{provider.port}"\n'
    names = {asked.name for asked in PROVIDERS} - {"openai", "anthropic"}
    extra = "".join(f'[[providers]]\nname = "{name}"\n{upstream}' for name in sorted(names))
    extra += f'[[providers]]\nname = "bypassed"\nhosts = ["{BYPASSED}"]\n{upstream}'
    world = World(provider, GatewayProcess(directory / "world", config_for(provider.port, extra)), directory)
    try:
        with closing(Runs(world, directory)) as made:
            yield made
    finally:
        world.close()
