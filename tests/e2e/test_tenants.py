"""Several who share one gateway: each is known by its token, does what is open to it, and sees itself alone."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from gateway.simulate.provider import key_hash_of
from tests.e2e.world import Provider, row_of
from tests.running import CLEAN, GatewayProcess, config_for, plain, read_answer

TOKENS = {name: f"canary-token-of-{name}-0123456789" for name in ("alpha", "beta", "boss", "poor", "picky", "keyless")}
INJECTED = f"sk-proj-canary-injected-{'k' * 24}"
SHARED_KEY = f"sk-proj-canary-shared-{'s' * 24}"
CONFIG = """
[[team.tenants]]
name = "alpha"
token_env = "TOKEN_ALPHA"
rules = [{ provider = "openai", model = "gpt-4.1-*", concurrency = 1 }]

[[team.tenants]]
name = "beta"
token_env = "TOKEN_BETA"

[[team.tenants]]
name = "boss"
token_env = "TOKEN_BOSS"
admin = true
share = 2

[[team.tenants]]
name = "poor"
token_env = "TOKEN_POOR"
budget = { requests_per_day = 2 }

[[team.tenants]]
name = "picky"
token_env = "TOKEN_PICKY"
providers = ["openai"]
models = ["gpt-4o-mini*"]

[[team.tenants]]
name = "keyless"
token_file = "FILE"
key_from = { openai = "env:INJECTED" }
"""


@dataclass
class Shared:
    """A gateway of a team before a simulated provider."""

    provider: Provider
    gateway: GatewayProcess

    def sdk(self, tenant: str, *, by: str = "proxy", key: str = SHARED_KEY, token: str = "") -> openai.OpenAI:
        """Give the official SDK as an app of a tenant has it."""
        token = token or TOKENS[tenant]
        if by == "base_url":
            url = f"http://127.0.0.1:{self.gateway.port}/~{token}/openai/v1"
            client = openai.DefaultHttpxClient(trust_env=False)
            return openai.OpenAI(api_key=key, base_url=url, max_retries=0, http_client=client)
        trusted = ssl.create_default_context(cafile=str(self.gateway.ca))
        proxy = f"http://whygate:{token}@127.0.0.1:{self.gateway.port}"
        client = openai.DefaultHttpxClient(proxy=proxy, verify=trusted, trust_env=False)
        return openai.OpenAI(api_key=key, max_retries=2, http_client=client)

    def page(self, tenant: str) -> httpx2.Client:
        """Give who looks at the page with a tenant's token."""
        headers = {"authorization": f"Bearer {TOKENS[tenant]}"}
        return httpx2.Client(base_url=f"http://{self.gateway.runtime['page']}", headers=headers, trust_env=False)

    def row(self, answer: Any) -> dict[str, Any]:
        return row_of(self.gateway, answer.headers["x-whygate-flow-id"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """At its end, no token and no key may stand in a file of the gateway."""
    directory = tmp_path_factory.mktemp("shared")
    file = directory / "keyless.token"
    file.write_text(TOKENS["keyless"] + "\n\n")
    env = {f"TOKEN_{name.upper()}": token for name, token in TOKENS.items() if name != "keyless"}
    provider = Provider()
    config = config_for(provider.port, CONFIG.replace("FILE", str(file)))
    gateway = GatewayProcess(directory / "gateway", config, env=env | {"INJECTED": INJECTED})
    try:
        yield Shared(provider, gateway)
        rows = json.dumps(gateway.flows())
        gateway.stop()
        files = [found for found in gateway.directory.rglob("*") if found.is_file() and found.suffix != ".toml"]
        assert {"flows.db", "log.txt"} <= {found.name for found in files}
        for secret in (*TOKENS.values(), INJECTED, SHARED_KEY):
            assert secret not in rows
            assert [found for found in files if secret.encode() in found.read_bytes()] == []
    finally:
        gateway.stop()
        provider.close()


def ask(sdk: openai.OpenAI, prompt: str, **more: Any) -> Any:
    words: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
    } | more
    with sdk:
        return sdk.chat.completions.with_raw_response.create(**words)


@pytest.mark.parametrize("by", ["proxy", "base_url"])
def test_a_call_is_of_the_tenant_whose_token_it_presents(shared: Shared, by: str) -> None:
    for tenant in ("alpha", "beta"):
        answer = ask(shared.sdk(tenant, by=by), f"who am I by {by}")
        assert answer.parse().choices[0].message.content == f"Echo: who am I by {by}"
        assert shared.row(answer)["tenant"] == tenant


def test_no_answer_of_the_cache_crosses_though_the_key_is_the_same(shared: Shared) -> None:
    before = len(shared.provider.rows(SHARED_KEY))
    said = [ask(shared.sdk(name), "a static prompt of two").headers["cache-status"] for name in ("alpha", "beta")]
    again = [ask(shared.sdk(name), "a static prompt of two").headers["cache-status"] for name in ("alpha", "beta")]
    assert [one.split(";")[1] for one in (*said, *again)] == [" fwd=miss", " fwd=miss", " hit", " hit"]
    assert len(shared.provider.rows(SHARED_KEY)) == before + 2


async def test_a_kept_connection_may_serve_one_tenant_after_the_other_by_base_url(shared: Shared) -> None:
    reader, writer = await plain(shared.gateway)
    ids = []
    for tenant in ("alpha", "beta", "alpha"):
        head = f"GET /openai/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Whygate-Token: {TOKENS[tenant]}\r\n"
        writer.write(f"{head}Authorization: Bearer {SHARED_KEY}\r\n\r\n".encode())
        answer, _ = await read_answer(reader)
        ids.append(answer.split(b"x-whygate-flow-id: ")[1].partition(b"\r\n")[0].decode())
    rows = [await asyncio.to_thread(row_of, shared.gateway, one) for one in ids]
    assert [row["tenant"] for row in rows] == ["alpha", "beta", "alpha"]


def test_a_tunnel_is_of_its_tenant_too(shared: Shared) -> None:
    with (
        httpx2.Client(proxy=f"http://whygate:{TOKENS['beta']}@127.0.0.1:{shared.gateway.port}", trust_env=False) as app,
        pytest.raises(httpx2.HTTPError),
    ):
        app.get("https://127.0.0.1:9/")
    found = shared.gateway.until(lambda: shared.gateway.flows(kind="tunnel", tenant="beta"))
    assert found[0]["host"] == "127.0.0.1:9"


@pytest.mark.parametrize("by", ["proxy", "base_url"])
def test_a_wrong_token_comes_nowhere(shared: Shared, by: str) -> None:
    before = len(shared.provider.rows())
    wrong = TOKENS["alpha"][:-1] + "x"
    with pytest.raises(openai.AuthenticationError if by == "base_url" else openai.APIConnectionError) as error:
        ask(shared.sdk("alpha", by=by, token=wrong).with_options(max_retries=0), "let me in")
    assert "401" in str(error.value) or "407" in repr(error.value.__cause__)
    assert len(shared.provider.rows()) == before


def test_without_a_token_nobody_comes_in_although_it_is_this_machine(shared: Shared) -> None:
    answer = httpx2.get(f"http://127.0.0.1:{shared.gateway.port}/openai/v1/models", trust_env=False)
    assert (answer.status_code, answer.headers["x-whygate-cause"]) == (401, "proxy.unauthorized")


@pytest.mark.parametrize("asked", [{"model": "gpt-4o"}, {"model": "gpt-4o-mini", "extra_body": {"models": ["o3"]}}])
def test_a_model_that_is_not_open_is_refused_with_what_is(shared: Shared, asked: dict[str, Any]) -> None:
    before = len(shared.provider.rows())
    with pytest.raises(openai.PermissionDeniedError) as error:
        ask(shared.sdk("picky"), "something dear", **asked)
    assert error.value.code == "proxy.not_allowed"
    assert error.value.response.headers["x-should-retry"] == "false"
    for word in ("picky", "gpt-4o-mini*", "o3" if "extra_body" in asked else "gpt-4o"):
        assert word in error.value.message
    assert len(shared.provider.rows()) == before
    assert ask(shared.sdk("picky"), "something cheap").status_code == 200


def test_a_provider_that_is_not_open_is_refused_in_its_own_shape(shared: Shared) -> None:
    url = f"http://127.0.0.1:{shared.gateway.port}/~{TOKENS['picky']}/anthropic/v1/messages"
    answer = httpx2.post(url, json={"model": "gpt-4o-mini"}, headers={"x-api-key": "sk-ant-x"}, trust_env=False)
    assert answer.status_code == 403
    assert answer.json()["type"] == "error"
    assert "picky" in answer.json()["error"]["message"]
    assert row_of(shared.gateway, answer.headers["x-whygate-flow-id"])["cause"] == "proxy.not_allowed"


def test_a_used_budget_is_told_and_lasts_over_a_restart(shared: Shared, tmp_path: Path) -> None:
    provider, env = shared.provider, {"TOKEN_POOR": TOKENS["poor"]}
    config = config_for(
        provider.port, '[[team.tenants]]\nname = "poor"\ntoken_env = "TOKEN_POOR"\nbudget = { requests_per_day = 2 }\n'
    )
    gateway = GatewayProcess(tmp_path, config, env=env)
    try:
        assert ask(Shared(provider, gateway).sdk("poor"), "a first call").status_code == 200
        assert " hit" in ask(Shared(provider, gateway).sdk("poor"), "a first call").headers["cache-status"]
        before = len(provider.rows())
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as error:
                ask(Shared(provider, gateway).sdk("poor"), "a third call")
            headers = error.value.response.headers
            assert error.value.code == "proxy.budget_exceeded"
            assert "of 2 requests a day for the tenant poor 2 requests are used" in error.value.message
            assert headers["x-should-retry"] == "false"
            assert 0 < int(headers["retry-after"]) <= 86_400
            assert gateway.stop() == 0
            gateway = GatewayProcess(tmp_path, config, env=env)
        assert len(provider.rows()) == before
    finally:
        gateway.stop()


@pytest.mark.parametrize("by", ["proxy", "base_url"])
def test_calls_go_out_with_the_tenants_key_whatever_the_app_sent(shared: Shared, by: str) -> None:
    theirs = f"sk-proj-canary-theirs-{'t' * 24}"
    answer = ask(shared.sdk("keyless", by=by, key=theirs), f"with whose key by {by}")
    assert answer.status_code == 200
    assert {row.key_hash for row in shared.provider.rows(INJECTED)} == {key_hash_of(INJECTED)}
    assert shared.provider.rows(theirs) == []
    row = shared.row(answer)
    assert INJECTED not in json.dumps(row)
    assert len(row["key"]) == 8


def test_a_limit_of_ones_own_holds_over_all_keys(shared: Shared) -> None:
    for number in range(2):
        key = f"sk-proj-canary-own-{number}-{'o' * 24}"
        assert ask(shared.sdk("alpha", key=key), "mine", model="gpt-4.1-mini").status_code == 200
    with shared.page("alpha") as page:
        scopes = [scope for scope in page.get("/api/limits").json()["scopes"] if scope["account"] == "alpha"]
    assert [scope["limits"][0]["kind"] for scope in scopes if scope["model"] == "gpt-4.1-mini"] == ["concurrency"]
    assert len({user["key"] for scope in scopes for user in scope["users"]}) >= 2


def test_a_member_sees_its_own_calls_and_an_admin_sees_all(shared: Shared) -> None:
    mine, others = (ask(shared.sdk(name), f"seen by {name}") for name in ("alpha", "beta"))
    ids = [shared.row(answer)["id"] for answer in (mine, others)]
    with shared.page("alpha") as page:
        assert {row["tenant"] for row in page.get("/api/flows?limit=500").json()["flows"]} == {"alpha"}
        assert page.get("/api/flows?tenant=beta").json()["flows"] == []
        assert [page.get(f"/api/flows/{one}").status_code for one in ids] == [200, 404]
        assert page.get("/api/cache").status_code == 403
        assert "admin = true" in page.post("/api/cache/clear", json={}).json()["error"]["message"]
    with shared.page("boss") as page:
        assert [page.get(f"/api/flows/{one}").status_code for one in ids] == [200, 200]
        assert page.get("/api/cache").status_code == 200


def test_a_members_link_signs_a_browser_in(shared: Shared) -> None:
    with httpx2.Client(base_url=f"http://{shared.gateway.runtime['page']}", trust_env=False) as browser:
        assert browser.get(f"/?token={TOKENS['beta']}").status_code == 303
        assert TOKENS["beta"] not in str(browser.cookies.jar)
        rows = browser.get("/api/flows").json()["flows"]
    assert {row["tenant"] for row in rows} <= {"beta"}


def test_the_settings_can_be_shown_and_a_terminal_is_told_the_truth(shared: Shared) -> None:
    gateway = shared.gateway
    env = CLEAN | {f"TOKEN_{name.upper()}": token for name, token in TOKENS.items()} | {"INJECTED": INJECTED}
    words = [sys.executable, "-m", "gateway"]
    shown = subprocess.run(
        [*words, "config", "show", "--config", str(gateway.config)], env=env, capture_output=True, text=True, check=True
    )
    assert "name=alpha" in shown.stdout
    told = subprocess.run(
        [*words, "env", "--state", str(gateway.state)],
        env=CLEAN | {"HOME": os.environ.get("HOME", "/")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "this gateway serves tenants" in told.stderr
    for secret in (*TOKENS.values(), INJECTED):
        assert secret not in shown.stdout + shown.stderr + told.stdout + told.stderr
