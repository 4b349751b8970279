"""Where a case takes place: a gateway, the provider behind it, and what both must have in common at its end."""

import contextlib
import itertools
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import trustme

from tests.faults.bystander import GAP_SECONDS, Bystander
from tests.faults.clients import ClientRow, Clients, new_key
from tests.faults.inject.answer import answer
from tests.faults.inject.ticking import ticking
from tests.faults.ledgers import Flow, fingerprint, reconcile
from tests.faults.rest import Watch
from tests.faults.upstream import Fault, Row, Upstream
from tests.running import GatewayProcess, config_for

SITE = Path(__file__).parent / "site"
PAGE_ROWS = 500
DONE_SECONDS = 5.0
_numbers = itertools.count(1)


@dataclass
class Field:
    """One gateway and its upstream. It sends openai and anthropic there, in plain.

    Attributes:
        authority: The gateway trusts what it signs.
    """

    gateway: GatewayProcess
    upstream: Upstream
    authority: trustme.CA
    watch: Watch

    def adopt(self, url: str) -> str:
        """Teach the gateway a provider at an address that was not known when it started.

        Returns:
            Its base URL on the gateway. Through CONNECT it is reached by its own, always with TLS: `https_url`.
        """
        answered = self._page("POST", "/api/providers", json={"base_url": url})
        return f"{self.gateway.proxy}{answered['base_path']}"

    def https_url(self, port: int, host: str = "localhost") -> str:
        """Adopt a TLS port and give the base URL that an app with HTTPS_PROXY uses for it."""
        self.adopt(url := f"https://{host}:{port}/v1")
        return url

    def flows_after(self, seq: int) -> list[Flow]:
        """Give all flows that are newer, the oldest first."""
        found: list[Flow] = []
        cursor: str | None = None
        while True:
            page = self._page(
                "GET", "/api/flows", params={"limit": PAGE_ROWS, **({"cursor": cursor} if cursor else {})}
            )
            found += [flow for flow in page["flows"] if flow["seq"] > seq]
            cursor = page["next_cursor"]
            if cursor is None or page["flows"][-1]["seq"] <= seq:
                return sorted(found, key=lambda flow: flow["seq"])

    def _page(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answered = httpx2.request(
            method, f"http://{self.gateway.runtime['page']}{path}", trust_env=False,
            headers={"authorization": f"Bearer {self.gateway.runtime['token']}"}, **more,
        )  # fmt: skip
        document: dict[str, Any] = answered.raise_for_status().json()
        return document


class Case:
    """One case: plans, calls, and at its end the comparison.

    Attributes:
        full: Whether to take the original, long durations where a case is scaled down otherwise.
        newest_before: The ``seq`` of the newest flow when the case began.
        received_before: How many requests the upstream had got when the case began.
        acknowledged: Ids of flows that belong to no call of ours, and are meant to be there.
    """

    def __init__(self, field: Field, *, full: bool) -> None:
        self.field, self.full = field, full
        self.acknowledged: set[str] = set()
        self.clients = Clients(field.gateway)
        self.sdk, self.raw = self.clients.sdk, self.clients.raw
        newest = field.gateway.flows(limit=1)
        self.newest_before = newest[0]["seq"] if newest else 0
        self.received_before = len(field.upstream.rows)

    def plan(self, *faults: Fault) -> str:
        """Say what becomes of a call's attempts; give the mark to call with."""
        mark = f"t{next(_numbers)}"
        if faults:
            self.field.upstream.plan(mark, *faults)
        return mark

    def flows(self, client: ClientRow | None = None) -> list[Flow]:
        """Wait until the flows of a call, or of all, are done, and give them."""
        wanted = sum(row.requests for row in self.clients.rows) if client is None else client.requests

        def look() -> list[Flow] | None:
            found = [flow for flow in self.field.flows_after(self.newest_before) if flow["id"] not in self.acknowledged]
            if client is not None:
                found = [flow for flow in found if flow["key"] == self.fingerprint(client.key)]
            return found if len(found) >= wanted and all(flow["state"] == "done" for flow in found) else None

        if not wanted:
            return []
        return self.field.gateway.until(look, DONE_SECONDS)

    def flow(self, client: ClientRow) -> Flow:
        """Give the one flow of a call."""
        (only,) = self.flows(client)
        return only

    def received(self, client: ClientRow) -> list[Row]:
        """Give what the upstream got of a call."""
        return [row for row in self._rows() if row.mark == client.mark]

    @contextlib.contextmanager
    def bystander(self) -> Iterator[Bystander]:
        """Run an innocent stream beside the block; it is Anthropic's, so the case should use something else."""
        over = threading.Event()
        row = ClientRow(self.plan(ticking(over, GAP_SECONDS)), new_key("anthropic"))
        self.clients.rows.append(row)
        other = Bystander(self.field.gateway, row, over)
        with other.beside():
            yield other

    def finish(self) -> None:
        """Compare the three ledgers, and see that the gateway is back at rest. Raises what they raise."""
        with contextlib.suppress(TimeoutError):
            self.flows()  # what is not done by now is told by the comparison
        with contextlib.suppress(TimeoutError):
            GatewayProcess.until(lambda: all(row.ended != "running" for row in self._rows()), DONE_SECONDS)
        found = [flow for flow in self.field.flows_after(self.newest_before) if flow["id"] not in self.acknowledged]
        try:
            reconcile(self.clients.rows, found, self._rows(), secret=self._secret)
        finally:
            self.field.watch.back_at_rest()

    @property
    def _secret(self) -> bytes:
        return (self.field.gateway.state / "fingerprint.key").read_bytes()

    def fingerprint(self, key: str) -> str:
        """Give what this gateway's flows show of a key."""
        return fingerprint(key, self._secret)

    def _rows(self) -> Sequence[Row]:
        return self.field.upstream.rows_since(self.received_before)


@contextlib.contextmanager
def open_field(directory: Path, extra: str = "", env: dict[str, str] | None = None) -> Iterator[Field]:
    """Start a gateway and its upstream.

    Args:
        extra: More settings, as TOML tables; without ``[diagnose]`` there are no second looks, which would stand in the
            upstream's ledger and which no client asked for; ``[network]`` takes ``ca_file`` itself when it says nothing of it, and
            ``{port}`` stands for the upstream's port in plain.
        env: More environment for the gateway.
    """
    authority = trustme.CA()
    directory.mkdir(parents=True, exist_ok=True)
    ca_file = directory / "upstream-ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    tls = server_context(authority, "localhost", "127.0.0.1")
    extra = extra if "[diagnose]" in extra else f'{extra}\n[diagnose]\nprobes = "off"\n'
    network = extra if "[network]" in extra else f"[network]\n{extra}"
    settings = network.replace("[network]\n", f'[network]\nca_file = "{ca_file}"\n', 1)
    with contextlib.ExitStack() as stack:
        upstream = Upstream(tls, answer())
        stack.callback(upstream.close)
        config = config_for(upstream.port, settings.replace("{port}", str(upstream.port)))
        gateway = GatewayProcess(directory, config, env={"PYTHONPATH": str(SITE), **(env or {})})
        stack.callback(gateway.stop)
        _warm_up(gateway, upstream)
        watch = Watch(gateway)
        stack.callback(watch.close)
        yield Field(gateway, upstream, authority, watch)


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Give TLS settings of a server with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def _warm_up(gateway: GatewayProcess, upstream: Upstream) -> None:
    """Make one call on each way, so that what is opened once and kept is there before anything is counted."""
    upstream.plan("warm-up", answer())
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {new_key()}", "x-test-id": "warm-up"}
    with gateway.client() as client:
        for url in ("https://api.openai.com/v1/chat/completions", f"{gateway.proxy}/openai/v1/chat/completions"):
            way = client if url.startswith("https") else httpx2
            way.post(url, headers=headers, json=body, timeout=10).raise_for_status()
    gateway.until(lambda: all(flow["state"] == "done" for flow in gateway.flows()))
