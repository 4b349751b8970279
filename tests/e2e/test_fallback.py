"""A provider that refuses connections, and who answers in its place: the official SDKs notice headers alone."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.simulate import Simulator, SimulatorConfig, serve
from gateway.simulate.wire import EXTENSION
from tests.e2e.world import MARK, Provider, Result, Row, World, job
from tests.faults.inject.closed_port import closed_port
from tests.running import GatewayProcess, config_for

SORRY = "The model cannot be reached just now \u2013 please try again."
APIS = ("chat", "responses", "messages")
CALLS = list(itertools.product(APIS, ("sync", "async"), (False, True)))
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


class Keyless(Simulator):
    """A model server of this machine: it asks for no key, and keeps what came with each call."""

    def __init__(self, config: SimulatorConfig) -> None:
        super().__init__(config)
        self.heard: list[tuple[str, dict[bytes, bytes]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one call as if it had come with a key."""
        if scope["type"] == "http":
            self.heard.append((scope["path"], dict(scope["headers"])))
            wire = scope["extensions"][EXTENSION]
            key = (b"x-api-key" if scope["path"] == PATHS["messages"] else b"authorization", b"Bearer sk-local")
            scope["extensions"][EXTENSION] = replace(wire, headers=(*wire.headers, key))
        await super().__call__(scope, receive, send)


class LocalModel(Provider):
    """It, in a thread of its own."""

    async def _serve(self) -> None:
        self.local = Keyless(SimulatorConfig())
        async with await serve(self.local) as handle:
            self.port = handle.port
            self._ready.set()
            await self._end.wait()


@contextmanager
def cut_off(directory: Path, local: LocalModel, extra: str) -> Iterator[World]:
    """A gateway whose providers refuse connections, in front of a model server of this machine."""
    with closed_port() as port:
        config = config_for(port, extra)
        made = World(local, GatewayProcess(directory, config), directory)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    local = LocalModel()
    fallbacks = (
        "[retry]\nmax_attempts = 1\n"
        '[[fallback]]\nname = "sorry"\nmodel = "*-fixed"\n'
        f"text = {json.dumps(SORRY)}\n"
        f'[[fallback]]\nname = "local"\nupstream = "http://127.0.0.1:{local.port}"\n'
        'models = { "*-breaks" = "simulate:service.stream_truncated", "*-fails" = "simulate:request.model_not_found",'
        ' "gpt-*" = "llama3.2", "claude-*" = "qwen3" }\n'
    )
    with cut_off(tmp_path_factory.mktemp("fallback"), local, fallbacks) as made:
        yield made


def check_marks(result: Result, row: Row, name: str) -> None:
    """What the app can see, and what the log keeps."""
    headers = result["headers"]
    assert (headers["x-whygate-fallback"], headers["x-whygate-cause"]) == (name, "network.tcp_refused")
    assert (headers["x-whygate-fault"], headers["x-whygate-attempts"]) == ("network", "1")
    assert not {"x-should-retry", "cache-status", "retry-after"} & headers.keys()
    assert (row["status"], row["fallback"], row["cause"], row["cache"]) == (200, name, "network.tcp_refused", "none")
    assert f"the fallback {name} answered in its place" in row["diagnosis"]["evidence"]
    assert (row["tokens_in"], row["tokens_out"]) == (None, None)
    assert MARK not in json.dumps(row)


@pytest.mark.parametrize(("api", "style", "stream"), CALLS, ids=str)
def test_a_local_model_answers_both_sdks(world: World, api: str, style: str, *, stream: bool) -> None:
    assert isinstance(world.provider, LocalModel)
    result = world.proxied.ask_one(job(api, "the quick brown fox", style=style, stream=stream))
    assert result["error"] is None, result["error"]
    assert (result["status"], result["text"]) == (200, "Echo: the quick brown fox")
    row = world.row(result)
    check_marks(result, row, "local")
    assert [attempt.get("fallback", "") for attempt in row["attempts"]] == ["", "local"]
    assert [attempt["status"] for attempt in row["attempts"]] == [None, 200]


@pytest.mark.parametrize("api", APIS)
def test_no_key_of_the_app_reaches_the_local_model(world: World, api: str) -> None:
    local = world.provider
    assert isinstance(local, LocalModel)
    asked = job(api, "x", headers={"openai-organization": "org-mine", "cookie": "session=1"})
    assert world.proxied.ask_one(asked)["error"] is None
    mark = asked["headers"]["x-test-id"].encode()
    ((path, headers),) = [one for one in local.local.heard if one[1].get(b"x-test-id") == mark]
    assert path == PATHS[api]
    assert not {b"authorization", b"x-api-key", b"cookie", b"openai-organization"} & headers.keys()
    assert not [value for value in headers.values() if asked["key"].encode() in value]
    assert b"x-stainless-lang" in headers


@pytest.mark.parametrize(("api", "style", "stream"), CALLS, ids=str)
def test_a_fixed_text_reads_like_an_answer(world: World, api: str, style: str, *, stream: bool) -> None:
    asked = job(api, "x", style=style, stream=stream, model="gpt-fixed")
    result = world.proxied.ask_one(asked)
    assert result["error"] is None, result["error"]
    assert result["text"] == SORRY
    check_marks(result, world.row(result), "sorry")


@pytest.mark.parametrize("api", ["chat", "messages"])
def test_a_stream_of_the_local_model_that_breaks_raises_in_the_sdk(world: World, api: str) -> None:
    model = "claude-breaks" if api == "messages" else "gpt-breaks"
    result = world.proxied.ask_one(job(api, "x", stream=True, model=model, max_retries=0))
    assert result["error"] is not None
    assert "whygate: local: " in result["error"]["message"]
    row = world.row(result)
    assert (row["status"], row["fallback"], row["cause"]) == (200, "local", "network.tcp_refused")
    assert "its answer broke off" in "\n".join(row["diagnosis"]["evidence"])


def test_when_the_local_model_refuses_too_the_providers_failure_is_told(world: World) -> None:
    result = world.proxied.ask_one(job("chat", "x", model="gpt-fails"))
    assert result["error"]["kind"] == "InternalServerError"
    assert (result["error"]["status"], result["error"]["headers"]["x-whygate-cause"]) == (502, "network.tcp_refused")
    assert "x-whygate-fallback" not in result["error"]["headers"]
    row = world.row(result)
    assert (row["status"], row["fallback"]) == (502, "")
    assert "the fallback local was asked, too, and answered with an error, status 404" in "\n".join(
        row["diagnosis"]["evidence"]
    )


def test_when_nobody_is_there_either_the_providers_failure_is_told(tmp_path: Path) -> None:
    local = LocalModel()
    with closed_port() as port:
        extra = f'[[fallback]]\nname = "local"\nupstream = "http://127.0.0.1:{port}"\n'
        with cut_off(tmp_path, local, extra) as world:
            result = world.proxied.ask_one(job("messages", "x"))
            assert result["error"]["status"] == 502
            row = world.row(result)
    assert (row["cause"], row["fallback"], len(row["attempts"])) == ("network.tcp_refused", "", 4)
    assert "the fallback local was asked, too, and gave no answer" in "\n".join(row["diagnosis"]["evidence"])
