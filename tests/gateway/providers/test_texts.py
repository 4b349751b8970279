"""A fixed text reads in the official SDKs like any answer: plain and as a stream, with its end and a usage of zero."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import openai
import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway._discover import discover
from gateway.model.provider import Provider, StreamNews
from gateway.providers import anthropic as anthropic_provider
from gateway.providers import gemini
from gateway.providers.openai import ENDPOINTS

TEXT = 'Nicht jetzt \u2013 \u8bf7\u7a0d\u540e \U0001f600 "quoted"\nsecond line'
MODEL = "gpt-5"
MESSAGES: Any = [{"role": "user", "content": "hello"}]


def _http(path: str, *, stream: bool) -> httpx2.MockTransport:
    """Answer every call with what is written for a path."""
    endpoint = {**ENDPOINTS, **anthropic_provider.PROVIDER.endpoints}[path]
    assert endpoint.write_text is not None
    kind, body = endpoint.write_text(TEXT, MODEL, stream)

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path.endswith(path)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    return httpx2.MockTransport(answer)


def _openai(path: str, *, stream: bool) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=_http(path, stream=stream)))


def _anthropic(*, stream: bool) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=_http("/v1/messages", stream=stream)))


def test_a_chat_completion() -> None:
    with _openai("/chat/completions", stream=False) as client:
        said = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    (choice,) = said.choices
    assert (choice.message.content, choice.message.role, choice.finish_reason) == (TEXT, "assistant", "stop")
    assert (said.model, said.usage and said.usage.total_tokens) == (MODEL, 0)


def test_the_chunks_of_a_chat_completion() -> None:
    with _openai("/chat/completions", stream=True) as client:
        chunks = list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, "stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 0


def test_the_helper_that_gathers_a_chat_completion() -> None:
    with (
        _openai("/chat/completions", stream=True) as client,
        client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream,
    ):
        said = stream.get_final_completion()
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == (TEXT, "stop")


def test_a_completion_and_its_chunks() -> None:
    with _openai("/completions", stream=False) as client:
        said = client.completions.create(model=MODEL, prompt="x")
    assert (said.choices[0].text, said.choices[0].finish_reason) == (TEXT, "stop")
    with _openai("/completions", stream=True) as client:
        chunks = list(client.completions.create(model=MODEL, prompt="x", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_response() -> None:
    with _openai("/responses", stream=False) as client:
        said = client.responses.create(model=MODEL, input="x")
    assert (said.output_text, said.status, said.error) == (TEXT, "completed", None)
    assert said.usage is not None
    assert said.usage.total_tokens == 0


def test_the_events_of_a_response() -> None:
    with _openai("/responses", stream=True) as client:
        events = list(client.responses.create(model=MODEL, input="x", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == TEXT


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_has_every_field_that_its_type_requires(stream: bool) -> None:
    """A missing one makes the SDK guess which event it reads, and not always right."""
    write = ENDPOINTS["/responses"].write_text
    assert write is not None
    body = write(TEXT, MODEL, stream)[1]
    if not stream:
        Response.model_validate_json(body)
        return
    events: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    for line in body.splitlines():
        if line.startswith(b"data: "):
            events.validate_json(line.removeprefix(b"data: "))


def test_the_helper_that_gathers_a_response() -> None:
    with _openai("/responses", stream=True) as client, client.responses.stream(model=MODEL, input="x") as stream:
        assert stream.get_final_response().output_text == TEXT


def test_a_message() -> None:
    with _anthropic(stream=False) as client:
        said = client.messages.create(model=MODEL, max_tokens=9, messages=MESSAGES)
    (block,) = said.content
    assert block.type == "text"
    assert (block.text, said.stop_reason, said.role) == (TEXT, "end_turn", "assistant")
    assert (said.usage.input_tokens, said.usage.output_tokens) == (0, 0)


def test_the_events_of_a_message() -> None:
    with (
        _anthropic(stream=True) as client,
        client.messages.stream(model=MODEL, max_tokens=9, messages=MESSAGES) as stream,
    ):
        assert "".join(stream.text_stream) == TEXT
        said = stream.get_final_message()
    assert (said.stop_reason, said.usage.output_tokens) == ("end_turn", 0)


async def test_the_asynchronous_clients_read_the_same_streams() -> None:
    async def texts() -> AsyncIterator[str]:
        http = httpx2.AsyncClient(transport=_http("/chat/completions", stream=True))
        async with openai.AsyncOpenAI(api_key="k", http_client=http) as client:
            async for chunk in await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
                yield chunk.choices[0].delta.content or ""
        http = httpx2.AsyncClient(transport=_http("/v1/messages", stream=True))
        async with (
            anthropic.AsyncAnthropic(api_key="k", http_client=http) as client_,
            client_.messages.stream(model=MODEL, max_tokens=9, messages=MESSAGES) as stream,
        ):
            async for text in stream.text_stream:
                yield text

    assert "".join([text async for text in texts()]) == TEXT * 2


def test_gemini_has_its_text_plain_as_events_and_as_an_array() -> None:
    """By the documented shape; Google's SDK is not among ours."""
    endpoints = gemini.PROVIDER.endpoints
    found = {}
    for path in ("generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"):
        endpoint = endpoints[f"/models:{path}"]
        assert endpoint.write_text is not None
        found[path] = endpoint.write_text(TEXT, MODEL, False)
    plain = orjson.loads(found["generateContent"][1])
    kind, events = found["streamGenerateContent?alt=sse"]
    assert (kind, events[:6], events[-4:]) == ("text/event-stream", b"data: ", b"\r\n\r\n")
    assert orjson.loads(events[6:]) == plain
    assert orjson.loads(found["streamGenerateContent"][1]) == [plain]
    (candidate,) = plain["candidates"]
    assert candidate["content"]["parts"] == [{"text": TEXT}]
    assert (candidate["finishReason"], plain["usageMetadata"]["totalTokenCount"]) == ("STOP", 0)


@pytest.mark.parametrize("name", sorted(discover("gateway.providers", "PROVIDER", Provider)))
def test_every_written_stream_ends_as_its_own_protocol_ends_one(name: str) -> None:
    """Else the gateway itself would call it broken off."""
    provider = discover("gateway.providers", "PROVIDER", Provider)[name]
    written = [one for one in provider.endpoints.values() if one.write_text is not None]
    assert written
    for endpoint in written:
        assert endpoint.write_text is not None
        kind, body = endpoint.write_text(TEXT, MODEL, True)
        if endpoint.stream is not None:
            assert kind.startswith("text/event-stream")
            assert endpoint.stream.read(body) is StreamNews.ENDED or endpoint.stream.finished(body)
        if endpoint.last_byte:
            assert body.rstrip().endswith(endpoint.last_byte)


@pytest.mark.parametrize("name", sorted(discover("gateway.providers", "PROVIDER", Provider)))
def test_vectors_and_verdicts_are_never_written_or_asked_for_elsewhere(name: str) -> None:
    provider = discover("gateway.providers", "PROVIDER", Provider)[name]
    for path, endpoint in provider.endpoints.items():
        if "embed" in path.lower() or "moderation" in path or "rerank" in path or "count" in path:
            assert endpoint.write_text is None, path
            assert not endpoint.elsewhere, path
        assert not endpoint.elsewhere or endpoint.write_text is not None
