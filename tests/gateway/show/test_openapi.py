"""The document of the page's API, against the routes, against what a running gateway answers, and against odd input."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, RuledOut
from gateway.model.flow import FlowRow
from gateway.show import healthy
from gateway.show.openapi import OPERATIONS, openapi
from gateway.show.schemas import SCHEMAS
from tests.gateway.record.made import a_call, a_concluded, a_diagnosis, a_failed_outcome, a_live, a_row
from tests.gateway.show.served import TOKEN, Served
from tests.running import CLEAN, GatewayProcess, RawUpstream, gateway_and_upstream

FUZZ_SECONDS = 10
RUN_SECONDS = 60
ENDLESS = "/api/live"
CHAT = {"model": "gpt-5-mini", "temperature": 0, "messages": [{"role": "user", "content": "hello"}]}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-5-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
LIMITED = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded", "param": None}}


def strict(value: Any) -> Any:
    """Give a schema under which an object has no property that is not described."""
    if isinstance(value, list):
        return [strict(item) for item in value]
    if not isinstance(value, dict):
        return value
    inside = {name: strict(item) for name, item in value.items()}
    return inside | {"additionalProperties": False} if isinstance(value.get("properties"), dict) else inside


def unlike(document: Any, path: str, *, status: int = 200, method: str = "get") -> list[str]:
    """What of an answer the document does not describe, in words."""
    described = openapi("0")
    answer = described["paths"][path][method]["responses"][str(status)]
    schema = answer["content"]["application/json"]["schema"]
    checker = jsonschema_rs.Draft202012Validator(strict({**schema, "components": described["components"]}))
    return [f"{error.instance_path}: {error.message}"[:300] for error in checker.iter_errors(document)]


def failing(served: Served) -> str:
    call = a_call()
    live = a_live(call)
    ruled_out = (RuledOut(Cause.QUOTA_EXHAUSTED, "There is credit.", Clue("There is credit.")),)
    served.recorder.opened(live)
    served.recorder.closed(
        live, a_concluded(call, diagnosis=a_diagnosis(ruled_out=ruled_out), outcome=a_failed_outcome(b"why"))
    )
    return call.id


@pytest.fixture
def running(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that has seen an answer, another one and a failure; of each test its own: the fuzzer clears the cache."""
    with gateway_and_upstream(tmp_path) as (gateway, upstream):
        for status, document in ((200, COMPLETION), (200, COMPLETION), (429, LIMITED)):
            path = "/v1/chat/completions" if status == 200 else "/v1/embeddings"
            with gateway.client() as client:
                client.post(
                    f"https://api.openai.com{path}{scripted(upstream, status, document)}",
                    json=CHAT,
                    headers={"authorization": "Bearer sk-test", "x-whygate-timeout-ms": "2000"},
                )
        yield gateway


def scripted(upstream: RawUpstream, status: int, document: Any) -> str:
    body = json.dumps(document).encode()
    limits = (
        b"x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n"
    )

    async def answer(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
        writer.write(head % (status, len(body)) + limits + b"\r\n" + body)
        await writer.drain()
        writer.close()

    return "?" + upstream.on(answer).partition("?")[2]


def ask(gateway: GatewayProcess, path: str) -> Any:
    headers = {"authorization": f"Bearer {gateway.runtime['token']}"}
    return httpx2.get(f"http://{gateway.runtime['page']}{path}", headers=headers, trust_env=False, timeout=10).json()


def test_every_route_stands_in_the_document_and_nothing_else(served: Served) -> None:
    routes = {
        ("/static/{name}" if route.path.startswith("/static/") else route.path, method.lower())
        for route in served.app.routes
        for method in route.methods - {"HEAD"}
    }
    documented = {(path, operation.method) for path, operation in OPERATIONS.items()}
    assert routes - documented == set(), "add them to OPERATIONS in gateway/show/openapi.py"
    assert documented - routes == set(), "no route serves them any more"


def test_every_field_of_a_flow_is_described() -> None:
    told = SCHEMAS["Flow"]["properties"].keys()
    assert {field.name for field in fields(FlowRow)} - told == set(), "add them to Flow in gateway/show/schemas.py"


def test_every_schema_is_used_and_every_reference_leads_somewhere() -> None:
    document = openapi("0")
    text, known = json.dumps(document), document["components"]["schemas"].keys()
    used = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert used - known == set()
    assert known - used - {"Gap"} == set()


def test_the_document_is_served_to_those_who_may_read(served: Served) -> None:
    with served.client() as client:
        answer = client.get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == openapi("0.0-test")
    with served.bare() as client:
        assert client.get("/api/openapi.json").status_code == 401


@pytest.mark.parametrize("language", ["", "?lang=zh"])
def test_flows_of_every_kind_are_as_described(served: Served, language: str) -> None:
    """Running, good, failed, and without a call; each field, and none that is not described."""
    failed, live = failing(served), a_live()
    served.recorder.opened(live)
    served.recorder.recorded(a_row(0, kind="tunnel", cause="unknown", shadow={"wait_ms": None, "reason": "full"}))
    with served.client() as client:
        page = client.get(f"/api/flows{language}").json()
        assert len(page["flows"]) == 3
        assert unlike(page, "/api/flows") == []
        assert unlike(client.get(f"/api/flows/{failed}{language}").json(), "/api/flows/{flow_id}") == []
        for status, path in ((404, "/api/flows/none"), (400, "/api/flows?limit=0")):
            described = "/api/flows/{flow_id}" if status == 404 else "/api/flows"
            assert unlike(client.get(path).json(), described, status=status) == []


def test_what_a_running_gateway_says_is_as_described(running: GatewayProcess) -> None:
    running.until(lambda: len(running.flows()) == 3)
    for path in ("/api/flows", "/api/health", "/api/limits", "/api/cache", "/api/causes", "/api/openapi.json"):
        document = ask(running, path)
        assert document
        if path != "/api/openapi.json":
            assert unlike(document, path) == [], path
    assert ask(running, "/api/limits")["scopes"]
    assert ask(running, "/api/cache")["contents"]
    for cause in Cause:
        assert unlike(ask(running, f"/api/causes/{cause}"), "/api/causes/{slug}") == []


def test_live_events_are_as_described(served: Served) -> None:
    """An endless answer, which the fuzzer cannot read."""
    names = {"flow": "Flow", "gap": "Gap", "health": "Health"}
    seen = set()
    with served.client(**{"last-event-id": "1"}) as client, client.stream("GET", "/api/live?lang=it") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["content-language"] == "it"
        failing(served)
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                seen.add(name)
                schema = {
                    "$ref": f"#/components/schemas/{names[name]}",
                    "components": {"schemas": SCHEMAS | healthy.SHAPES},
                }
                checker = jsonschema_rs.Draft202012Validator(strict(schema))
                assert [error.message for error in checker.iter_errors(json.loads(line[6:]))] == []
            if seen == names.keys():
                break
    with served.client() as client:
        assert client.get("/api/live?lang=xx").status_code == 400


def test_one_watcher_too_many_is_answered_as_described(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.show.web.MAX_WATCHERS", 0)
    with served.client() as client:
        answer = client.get("/api/live")
    assert answer.status_code == 503
    assert unlike(answer.json(), "/api/live", status=503) == []


def test_refusals_are_as_described(served: Served) -> None:
    with served.client() as client:
        answers = {
            403: client.get("/api/flows", headers={"origin": "https://evil.example"}),
            421: client.get("/api/flows", headers={"host": "evil.example"}),
            401: client.get("/api/flows", headers={"authorization": "Bearer no"}),
        }
        wrong = {
            400: client.post("/api/cache/clear", json={"all": True}),
            413: client.post("/api/cache/clear", json={"model": "x" * 5000}),
            415: client.post("/api/cache/clear", content=b"{}"),
        }
        refused = client.post("/api/flows")
    for status, answer in answers.items():
        assert answer.status_code == status
        assert unlike(answer.json(), "/api/flows", status=status) == []
    for status, answer in wrong.items():
        assert answer.status_code == status
        assert unlike(answer.json(), "/api/cache/clear", status=status, method="post") == []
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("query", ["since=999999d", "since=٣d", "limit=0000100", "limit=٣", "status=4٣٣", "cursor=-1"])
def test_odd_values_are_refused_or_understood_and_never_break_the_page(served: Served, query: str) -> None:
    with served.client() as client:
        assert client.get(f"/api/flows?{query}").status_code == (200 if "999999d" in query else 400)


def test_a_fuzzer_finds_nothing_that_the_document_does_not_say(running: GatewayProcess, tmp_path: Path) -> None:
    """Schemathesis over a real socket: fields from the document, broken ones too, wrong methods, no token."""
    seed = random.randrange(2**32)
    config = tmp_path / "schemathesis.toml"
    # Which addresses can be adopted no pattern says: a good form may still be refused.
    config.write_text(
        '[[operations]]\ninclude-path = "/api/providers"\n'
        '[operations.checks]\npositive_data_acceptance.expected-statuses = ["2xx", "400"]\n'
        # A body that is wrong and too long is refused for its length, before anybody has read it.
        '[checks.negative_data_rejection]\nexpected-statuses = ["4xx", "5xx"]\n'
    )
    arguments = [
        "--config-file", str(config), "run", f"http://{running.runtime['page']}/api/openapi.json",
        "--header", f"Authorization: Bearer {running.runtime['token']}", "--exclude-path", ENDLESS,
        "--max-time", str(FUZZ_SECONDS), "--request-timeout", "10", "--seed", str(seed),
        "--output-sanitize", "true", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *arguments],
        capture_output=True, text=True, timeout=RUN_SECONDS, check=False, env=CLEAN, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-8000:]}{done.stderr[-2000:]}"
    assert ask(running, "/api/health")["state"] == "ready"


def test_the_token_is_the_only_thing_that_the_document_keeps_to_itself() -> None:
    assert TOKEN not in json.dumps(openapi("0"))
