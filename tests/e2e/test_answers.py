"""The official SDKs and curl get right answers, by proxy and by base URL, and each call is in the log."""

import itertools
import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import MARK, Result, Row, World, job, new_key, new_world, row_of
from tests.running import CLEAN, ROOT
from tests.tools import require_tool

PROMPT = "the quick brown fox"
ANSWER = f"Echo: {PROMPT}"
QUESTION = {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]}
ENDPOINTS = {"chat": "chat.completions", "responses": "responses", "messages": "messages"}
WAYS = list(
    itertools.product(("proxied", "based"), ("chat", "responses", "messages"), ("sync", "async"), (False, True))
)


def check_row(row: Row, api: str, *, stream: bool) -> None:
    provider, model = ("anthropic", "claude-sonnet-4-5") if api == "messages" else ("openai", "gpt-4o-mini")
    assert (row["kind"], row["provider"], row["model"], row["endpoint"]) == ("api", provider, model, ENDPOINTS[api])
    assert (row["status"], row["cause"], row["stream"], row["state"]) == (200, None, stream, "done")
    assert row["key"]
    assert MARK not in json.dumps(row)
    assert row["tokens_in"] > 0
    assert row["tokens_out"] > 0
    (attempt,) = row["attempts"]
    assert (attempt["n"], attempt["status"], attempt["failure"]) == (1, 200, None)
    phases = attempt["phases"]
    names = [phase["name"] for phase in phases]
    assert [name for name in names if name not in {"pool", "dns", "connect"}] == ["send", "first_byte", "body"]
    assert all(phase["ok"] for phase in phases)
    for before, after in itertools.pairwise(phases):
        assert before["start_ms"] <= before["end_ms"] <= after["start_ms"] + 0.02
    assert 0 < row["ttft_ms"] <= row["total_ms"]


@pytest.mark.parametrize(("way", "api", "style", "stream"), WAYS, ids=str)
def test_an_sdk_gets_its_answer_and_the_call_is_in_the_log(
    world: World, way: str, api: str, style: str, *, stream: bool
) -> None:
    asked = job(api, PROMPT, style=style, stream=stream, more={"stream_options": {"include_usage": True}})
    if api != "chat" or not stream:
        del asked["more"]
    result: Result = getattr(world, way).ask_one(asked)
    assert result["error"] is None, result["error"]
    assert result["text"] == ANSWER
    row = world.row(result)
    check_row(row, api, stream=stream)
    assert len(world.provider.rows(asked["key"])) == 1
    named = "api.anthropic.com" if api == "messages" else "api.openai.com"
    assert (row["host"] == named) == (way == "proxied")


def test_a_new_connection_shows_how_long_it_took_to_connect(tmp_path: Path) -> None:
    """The first call of a gateway finds no connection that it could use again; the second one does."""
    with new_world(tmp_path) as world, world.gateway.client() as client:
        for _ in range(2):
            key = {"authorization": f"Bearer {new_key()}"}
            client.post("https://api.openai.com/v1/chat/completions", json=QUESTION, headers=key).raise_for_status()
        second, first = [row_of(world.gateway, row["id"]) for row in world.gateway.flows()]
    (connect,) = [phase for phase in first["attempts"][0]["phases"] if phase["name"] == "connect"]
    assert connect["ok"]
    assert connect["end_ms"] > connect["start_ms"]
    assert "connect" not in [phase["name"] for phase in second["attempts"][0]["phases"]]


def test_the_phase_of_the_body_lasts_as_long_as_the_stream(world: World) -> None:
    slow = {"x-simulate-events": "6", "x-simulate-interval-ms": "100"}
    row = world.row(world.proxied.ask_one(job("chat", PROMPT, stream=True, headers=slow)))
    (body,) = [phase for phase in row["attempts"][0]["phases"] if phase["name"] == "body"]
    assert row["total_ms"] >= 500
    assert body["end_ms"] - body["start_ms"] >= 450


def curl(world: World, *arguments: str, base_url: bool) -> "subprocess.CompletedProcess[bytes]":
    words = world.run_command("--base-url" if base_url else "--no-base-url")
    return subprocess.run(
        [*words, "sh", "-c", 'exec curl -sS -D /dev/stderr "$@"', "curl", *arguments]
        if not base_url
        else [*words, "sh", "-c", 'at="$1"; shift; eval "url=$at"; exec curl -sS -D /dev/stderr "$url" "$@"', "curl", *arguments],
        capture_output=True, cwd=ROOT, env=CLEAN, timeout=30, check=True,
    )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("base_url", [False, True], ids=["proxied", "based"])
@pytest.mark.parametrize("api", ["chat", "messages"])
def test_curl_gets_the_providers_bytes_and_the_call_is_in_the_log(
    world: World, api: str, *, base_url: bool, stream: bool
) -> None:
    require_tool("curl", "apt-get install curl")
    mark, key = uuid.uuid4().hex, new_key("anthropic" if api == "messages" else "openai")
    asked: dict[str, Any] = {"stream": stream, "messages": [{"role": "user", "content": PROMPT}]}
    if api == "messages":
        url, base = "https://api.anthropic.com/v1/messages", "$ANTHROPIC_BASE_URL/v1/messages"
        headers = [f"x-api-key: {key}", "anthropic-version: 2023-06-01"]
        asked |= {"model": "claude-sonnet-4-5", "max_tokens": 100}
    else:
        url, base = "https://api.openai.com/v1/chat/completions", "$OPENAI_BASE_URL/chat/completions"
        headers = [f"Authorization: Bearer {key}"]
        asked |= {"model": "gpt-4o-mini"} | ({"stream_options": {"include_usage": True}} if stream else {})
    headers += [f"x-test-id: {mark}", "Content-Type: application/json"]
    given = [word for header in headers for word in ("-H", header)]
    done = curl(world, base if base_url else url, *given, "-d", json.dumps(asked), base_url=base_url)
    assert [done.stdout] == world.provider.simulator.bodies[mark]
    flow_id = done.stderr.decode("latin-1").split("x-whygate-flow-id: ")[1].split("\r\n")[0]
    check_row(row_of(world.gateway, flow_id), api, stream=stream)


def test_a_command_is_told_of_the_proxy_and_with_no_base_url_of_nothing_else(world: World) -> None:
    done = subprocess.run(
        [*world.run_command("--no-base-url"), "env"], capture_output=True, cwd=ROOT, env=CLEAN, timeout=30, check=True
    )
    told = dict(line.split("=", 1) for line in done.stdout.decode().splitlines() if "=" in line)
    assert told["HTTPS_PROXY"] == world.gateway.proxy
    assert told["SSL_CERT_FILE"]
    assert not {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"} & set(told)
