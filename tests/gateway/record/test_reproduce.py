"""A row becomes a command and a program that ask again, and nothing in it becomes a command of its own."""

import ast
import http.server
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.known import providers
from gateway.model.secret import scrub
from gateway.record.reproduce import curl, curl_words, key_variable, python, script
from tests.gateway.record.made import a_row

KEY = "sk-proj-canary-0123456789abcdef"
CALLS: dict[str, dict[str, Any]] = {
    "chat": {"endpoint": "chat.completions", "path": "/v1/chat/completions"},
    "stream": {"endpoint": "chat.completions", "path": "/v1/chat/completions", "stream": True},
    "responses": {"endpoint": "responses", "path": "/v1/responses"},
    "embeddings": {"endpoint": "embeddings", "path": "/v1/embeddings"},
    "images": {"endpoint": "images.generations", "path": "/v1/images/generations"},
    "models": {"endpoint": "models", "path": "/v1/models", "method": "GET"},
    "upload": {"endpoint": "files", "path": "/v1/files", "request_headers": (("content-type", "multipart/form-data"),)},
    "messages": {"provider": "anthropic", "endpoint": "messages", "host": "api.anthropic.com", "path": "/v1/messages",
                 "model": "claude-sonnet-4-5"},
    "azure": {"provider": "azure", "endpoint": "chat.completions", "host": "x.openai.azure.com",
              "path": "/openai/deployments/d/chat/completions?api-version=2026-01-01"},
    "gemini": {"provider": "gemini", "endpoint": "generateContent", "host": "generativelanguage.googleapis.com",
               "path": "/v1beta/models/gemini-3:generateContent?key=[redacted]", "model": "gemini-3"},
    "groq": {"provider": "groq", "endpoint": "chat.completions", "host": "api.groq.com",
             "path": "/openai/v1/chat/completions"},
    "own": {"provider": "my-relay", "endpoint": "chat.completions", "host": "relay.example.com",
            "path": "/v1/chat/completions"},
    "websocket": {"kind": "websocket", "endpoint": "realtime", "path": "/v1/realtime?model=x", "method": "GET"},
    "tunnel": {"kind": "tunnel", "provider": "", "host": "chatgpt.com:443", "method": "CONNECT", "path": ""},
}  # fmt: skip


def call(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "method": "POST", "host": "api.openai.com", "path": "/v1/chat/completions", "endpoint": "chat.completions",
        "request_headers": (("openai-beta", "realtime=v1"),), "request_bytes": 1234,
        "cause": "quota.exhausted", "status": 429,
    }  # fmt: skip
    return a_row(1, **(values | changes)).as_dict()


@pytest.mark.parametrize("changes", CALLS.values(), ids=CALLS)
def test_every_kind_of_call_is_a_command_and_a_program(changes: dict[str, Any]) -> None:
    row = call(**changes)
    assert shlex.split(curl(row)) == curl_words(row)
    ast.parse(python(row))
    for text in (script(row), python(row)):
        assert scrub(text) == text, "the scan of a bundle would take it for a leak"
        assert "[redacted]" not in text


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ("chat", "authorization: Bearer $OPENAI_API_KEY"),
        ("messages", "x-api-key: $ANTHROPIC_API_KEY"),
        ("azure", "api-key: $AZURE_OPENAI_API_KEY"),
        ("gemini", "x-goog-api-key: $GEMINI_API_KEY"),
        ("own", "authorization: Bearer $MY_RELAY_API_KEY"),
    ],
)
def test_the_key_is_the_variable_that_the_provider_s_users_set(changes: str, header: str) -> None:
    command = curl(call(**CALLS[changes]))
    assert f'"{header}"' in command


def test_every_provider_has_a_variable_that_a_shell_takes() -> None:
    names = [key_variable(provider.name) for provider in providers()]
    assert all(name.isidentifier() and name.isupper() for name in names)
    assert [key_variable(name) for name in ("", "9", "a-b")] == ["API_KEY", "API_KEY", "A_B_API_KEY"]


def test_the_prompt_is_left_out_and_the_command_is_whole_all_the_same() -> None:
    words = curl_words(call())
    body = json.loads(words[words.index("--data") + 1])
    assert body["model"] == "gpt-5-mini"
    assert "a request of 1,234 bytes]" in body["messages"][0]["content"]
    assert "It had 1,234 bytes." in script(call())
    assert "bytes" not in script(call(request_bytes=0))
    assert "openai-beta: realtime=v1" in words
    messages = curl_words(call(**CALLS["messages"]))
    assert json.loads(messages[-1])["max_tokens"] > 0
    assert "anthropic-version: 2023-06-01" in messages
    assert "--data" not in curl_words(call(**CALLS["models"]))


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        ("chat", "openai.OpenAI("),
        ("messages", "anthropic.Anthropic("),
        ("azure", "openai.AzureOpenAI(azure_endpoint='https://x.openai.azure.com', api_version='2026-01-01')"),
        ("gemini", "genai.Client()"),
        ("groq", "'https://api.groq.com/openai/v1'"),
        ("images", "httpx.request('POST'"),
        ("models", "httpx.request('GET'"),
    ],
)
def test_the_program_uses_the_provider_s_sdk_where_there_is_one(changes: str, used: str) -> None:
    assert used in python(call(**CALLS[changes]))


TEXTS = st.text(max_size=80)


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from(sorted(CALLS)), st.sampled_from(["gpt", "groq", "anthropic"]))
def test_whatever_stands_in_a_row_is_a_word_and_never_a_command(  # noqa: PLR0917 - one of each
    model: str, path: str, host: str, method: str, header: str, kind: str, provider: str
) -> None:
    hostile = {"model": model, "path": path, "host": host, "method": method, "id": model, "started_at": path}
    headers = (("openai-beta", header), ("content-type", header), ("anthropic-version", header))
    row = call(**CALLS[kind] | {"provider": provider}) | hostile | {"request_headers": headers, "cause": model or "x"}
    command = curl(row)
    assert command.isascii()
    assert command.isprintable()
    assert shlex.split(command) == curl_words(row)
    # One line for the command, and nothing but remarks before it.
    lines = script(row).splitlines()
    assert lines[-1] == command
    assert all(line.startswith("#") for line in lines[:-1])
    ast.parse(python(row))
    assert python(row).isascii()


@settings(max_examples=15, deadline=None)
@given(TEXTS, TEXTS)
def test_a_real_shell_gives_the_same_words_with_the_key_in_its_place(model: str, path: str) -> None:
    row = call(model=model, path=path)
    printing = curl(row).replace("curl", "printf '%s\\n'", 1)
    done = subprocess.run(
        ["sh", "-c", printing], env={"OPENAI_API_KEY": KEY, "PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == [word.replace("$OPENAI_API_KEY", KEY) for word in curl_words(row)[1:]]


@pytest.fixture
def asked() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A server that writes down what it is asked."""
    seen: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append({"path": self.path, "body": json.loads(body), "key": self.headers["authorization"]})
            answer = b'{"id": "x", "object": "chat.completion", "choices": []}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, seen
        server.shutdown()


def test_command_and_program_ask_what_the_app_asked(asked: tuple[int, list[dict[str, Any]]], tmp_path: Path) -> None:
    port, seen = asked
    row = call(provider="groq", host=f"127.0.0.1:{port}", model="it's a $(model)")
    (tmp_path / "again.sh").write_text(script(row))
    (tmp_path / "again.py").write_text(python(row))
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {"GROQ_API_KEY": KEY}
    for command in (["sh", "again.sh"], [sys.executable, "again.py"]):
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True, timeout=60)
    assert [one["key"] for one in seen] == [f"Bearer {KEY}"] * 2
    assert seen[0]["body"] == seen[1]["body"]
    assert seen[0]["body"]["model"] == "it's a $(model)"
    assert {one["path"] for one in seen} == {"/v1/chat/completions"}
