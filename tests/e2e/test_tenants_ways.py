"""Tenants by every way in: WebSockets, HTTP/2, edited routes, replays, and a budget that ends in the middle."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import websockets

from tests.e2e.sockets import converse
from tests.e2e.world import Provider, Row, new_key, row_of, steady
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

NAMES = ("free", "other", "bound", "models", "few")
TOKENS = {name: f"canary-token-of-{name}-0123456789" for name in NAMES}
CONFIG = """
[listen]
edit = ["openai/v1/embeddings"]

[[team.tenants]]
name = "free"
token_env = "TOKEN_FREE"

[[team.tenants]]
name = "other"
token_env = "TOKEN_OTHER"

[[team.tenants]]
name = "bound"
token_env = "TOKEN_BOUND"
providers = ["openai"]

[[team.tenants]]
name = "models"
token_env = "TOKEN_MODELS"
models = ["gpt-4o-mini*"]

[[team.tenants]]
name = "few"
token_env = "TOKEN_FEW"
budget = { requests_per_day = 6 }
"""
Pair = tuple[GatewayProcess, Provider]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    provider = Provider()
    env = {f"TOKEN_{name.upper()}": token for name, token in TOKENS.items()}
    gateway = GatewayProcess(tmp_path_factory.mktemp("ways"), config_for(provider.port, CONFIG), env=env)
    try:
        yield gateway, provider
    finally:
        gateway.stop()
        provider.close()


def trusting(gateway: GatewayProcess) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(gateway.ca))


def proxy_of(gateway: GatewayProcess, name: str, token: str = "") -> str:
    return f"http://whygate:{token or TOKENS[name]}@127.0.0.1:{gateway.port}"


def rows(gateway: GatewayProcess, **query: Any) -> list[Row]:
    return gateway.until(lambda: [row for row in gateway.flows(**query) if row["state"] == "done"])


def of(gateway: GatewayProcess, tenant: str, path: str) -> list[Row]:
    """Wait for a tenant's rows of a path."""
    return gateway.until(lambda: [row for row in gateway.flows(tenant=tenant) if path in row["path"]])


def socket_to(
    gateway: GatewayProcess, way: str, name: str, provider: str = "openai", model: str = "gpt-realtime"
) -> Any:
    headers = {"authorization": f"Bearer {new_key()}"}
    path = f"/v1/realtime?model={model}"
    if way == "proxy":
        host = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}[provider]
        return websockets.connect(
            f"wss://{host}{path}", proxy=proxy_of(gateway, name), ssl=trusting(gateway), additional_headers=headers
        )
    url = f"ws://127.0.0.1:{gateway.port}/~{TOKENS[name]}/{provider}{path}"
    return websockets.connect(url, proxy=None, additional_headers=headers)


@pytest.mark.parametrize("way", ["proxy", "base URL"])
async def test_a_websocket_to_a_provider_that_is_open_is_the_tenants(pair: Pair, way: str) -> None:
    gateway, _ = pair
    model = f"gpt-realtime-{way[:4]}"
    async with socket_to(gateway, way, "bound", model=model) as socket:
        text, _ = await asyncio.wait_for(converse(socket, "one two"), 10)
    assert text == "Echo: one two"
    found = await asyncio.to_thread(rows, gateway, kind="websocket", tenant="bound")
    assert [row["status"] for row in found if row["model"] == model] == [101]


@pytest.mark.parametrize("way", ["proxy", "base URL"])
@pytest.mark.parametrize(
    ("name", "provider", "model", "word"),
    [("bound", "anthropic", "m1", "anthropic"), ("models", "openai", "gpt-realtime-closed", "gpt-4o-mini*")],
    ids=["provider", "model"],
)
async def test_a_websocket_that_is_not_open_is_refused_before_the_upgrade(  # noqa: PLR0917
    pair: Pair, way: str, name: str, provider: str, model: str, word: str
) -> None:
    gateway, upstream = pair
    before = len(await asyncio.to_thread(upstream.rows))
    with pytest.raises(websockets.InvalidStatus) as caught:
        await socket_to(gateway, way, name, provider, model)
    answer = caught.value.response
    assert (answer.status_code, answer.headers["x-whygate-cause"]) == (403, "proxy.not_allowed")
    assert name in answer.body.decode()
    assert word in answer.body.decode()
    assert len(await asyncio.to_thread(upstream.rows)) == before
    found = await asyncio.to_thread(rows, gateway, kind="websocket", tenant=name)
    assert "proxy.not_allowed" in {row["cause"] for row in found}


def http2(gateway: GatewayProcess, name: str, token: str = "") -> httpx2.Client:
    how: dict[str, Any] = {"verify": trusting(gateway), "trust_env": False, "timeout": 20}
    return httpx2.Client(proxy=proxy_of(gateway, name, token), http1=False, http2=True, **how)


def chat(prompt: str) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}


def test_a_client_of_http_2_alone_is_its_tenant(pair: Pair) -> None:
    gateway, provider = pair
    key = new_key()
    with http2(gateway, "free") as client:
        answer = client.post(
            "https://api.openai.com/v1/chat/completions?version=http2",
            json=chat("two"),
            headers={"authorization": f"Bearer {key}"},
        )
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert len(provider.rows(key)) == 1
    found = of(gateway, "free", "version=http2")
    assert [row["status"] for row in found] == [200]


def test_a_client_of_http_2_with_a_wrong_token_is_refused(pair: Pair) -> None:
    gateway, provider = pair
    before = len(provider.rows())
    with http2(gateway, "free", TOKENS["free"] + "x") as client, pytest.raises(httpx2.ProxyError, match="407"):
        client.get("https://api.openai.com/v1/models")
    assert len(provider.rows()) == before


def test_a_bounded_tenant_cannot_use_a_way_on_which_nobody_counts(pair: Pair) -> None:
    gateway, provider = pair
    before = len(provider.rows())
    with http2(gateway, "few") as client:
        answer = client.get("https://api.openai.com/v1/models", headers={"authorization": f"Bearer {new_key()}"})
    assert (answer.status_code, answer.headers["x-whygate-cause"]) == (403, "proxy.not_allowed")
    assert len(provider.rows()) == before


def sdk(gateway: GatewayProcess, name: str, key: str) -> openai.AsyncOpenAI:
    url = f"http://127.0.0.1:{gateway.port}/~{TOKENS[name]}/openai/v1"
    client = openai.DefaultAsyncHttpxClient(trust_env=False)
    return openai.AsyncOpenAI(api_key=key, base_url=url, http_client=client)  # with its usual two retries


async def test_a_budget_that_ends_in_the_middle_ends_it_for_its_tenant_alone(pair: Pair) -> None:
    gateway, provider = pair
    few, other = new_key(), new_key()

    async def one(name: str, key: str, number: int) -> openai.RateLimitError | None:
        async with sdk(gateway, name, key) as client:
            try:
                await client.chat.completions.create(**chat(f"{name} {number}"))
            except openai.RateLimitError as error:
                return error
        return None

    said = await asyncio.gather(*(one(n, k, i) for i in range(15) for n, k in (("few", few), ("other", other))))
    refused = [error for error in said if error is not None]
    assert len(refused) == 9, "six of fifteen, and nobody else's"
    for error in refused:
        assert (error.status_code, error.code) == (429, "proxy.budget_exceeded")
        assert error.response.headers["x-should-retry"] == "false"
        assert 0 < int(error.response.headers["retry-after"]) <= 86_400
        assert "few" in error.message
    assert len(await asyncio.to_thread(provider.rows, few)) == 6
    assert len(await asyncio.to_thread(provider.rows, other)) == 15
    look = lambda: len(gateway.flows(tenant="few", cause="proxy.budget_exceeded"))  # noqa: E731
    assert await asyncio.to_thread(steady, look) == 9, "the SDK came once for each call"


def test_an_edited_call_is_of_its_tenant_and_shows_no_token(pair: Pair) -> None:
    gateway, provider = pair
    key = new_key()
    for name in ("free", "other"):
        answer = httpx2.post(
            f"http://127.0.0.1:{gateway.port}/~{TOKENS[name]}/openai/v1/embeddings?version={name}", trust_env=False,
            json={"model": "text-embedding-3-small", "input": "x"}, headers={"authorization": f"Bearer {key}"},
        )  # fmt: skip
        assert answer.status_code == 200
        assert "x-whygate-flow-id" not in answer.headers, "mitmproxy carried it"
        found = of(gateway, name, f"version={name}")
        assert found[0]["path"] == f"/v1/embeddings?version={name}"
    assert len(provider.rows(key)) == 2
    assert not any(token in json.dumps(gateway.flows()) for token in TOKENS.values())


def replay(gateway: GatewayProcess, flow_id: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "replay", flow_id, "--yes", "--json", "--state", str(gateway.state)]
    return subprocess.run(
        [*command, *words], cwd=ROOT, env=CLEAN | env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def kept(pair: Pair) -> Iterator[Pair]:
    """Bodies are kept meanwhile."""
    gateway, _ = pair
    words = [sys.executable, "-m", "gateway", "capture", "--state", str(gateway.state)]
    how: dict[str, Any] = {"cwd": ROOT, "env": CLEAN, "capture_output": True, "timeout": 60}
    subprocess.run([*words, "--for", "2m", "--yes"], check=True, **how)
    yield pair
    subprocess.run([*words, "--stop"], check=True, **how)


def test_a_member_neither_sees_nor_repeats_anothers_call_by_the_page(kept: Pair, tmp_path: Path) -> None:
    gateway, _ = kept
    url = f"http://127.0.0.1:{gateway.port}/~{TOKENS['free']}/openai/v1/chat/completions"
    answer = httpx2.post(url, json=chat("mine"), headers={"authorization": f"Bearer {new_key()}"}, trust_env=False)
    flow_id = answer.headers["x-whygate-flow-id"]
    assert row_of(gateway, flow_id)["tenant"] == "free"
    page = f"http://{gateway.runtime['page']}"
    for name, status in (("free", 200), ("other", 404)):
        with httpx2.Client(base_url=page, headers={"authorization": f"Bearer {TOKENS[name]}"}, trust_env=False) as one:
            for path in ("", "/again", "/before"):
                assert one.get(f"/api/flows/{flow_id}{path}").status_code == status
            for path in ("", "/again", "/replay"):
                assert one.post(f"/api/flows/{flow_id}{path}", json={}).status_code in {403, 404, 405}


def test_a_replay_says_that_it_needs_the_tenants_token(kept: Pair) -> None:
    """The terminal knows nobody's token; what cannot be sent as that tenant is not sent as another one."""
    gateway, provider = kept
    url = f"http://127.0.0.1:{gateway.port}/~{TOKENS['free']}/openai/v1/chat/completions"
    answer = httpx2.post(url, json=chat("again"), headers={"authorization": f"Bearer {new_key()}"}, trust_env=False)
    flow_id, key = answer.headers["x-whygate-flow-id"], new_key()
    row_of(gateway, flow_id)
    said = replay(gateway, flow_id, OPENAI_API_KEY=key)
    assert said.returncode == 2
    assert "Traceback" not in said.stderr
    assert "--token-from NAME" in said.stderr
    assert provider.rows(key) == []
    said = replay(gateway, flow_id, "--token-from", "MINE", OPENAI_API_KEY=key, MINE=TOKENS["free"])
    assert said.returncode == 0, said.stderr
    again = json.loads(said.stdout)
    assert (again["tenant"], again["replay_of"]) == ("free", flow_id)
    assert TOKENS["free"] not in said.stdout + said.stderr
    said = replay(gateway, flow_id, "--token-from", "MINE", OPENAI_API_KEY=key, MINE=TOKENS["other"])
    assert said.returncode == 2
    assert len(provider.rows(key)) == 1, "as another tenant it is not sent"
