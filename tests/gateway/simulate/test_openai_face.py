"""What OpenAI's own client reads from the simulator."""

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.gateway.simulate.world import Start, chat_body

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two three four five"}]


async def test_a_chat_answer_echoes_the_prompt_and_counts_its_tokens(start: Start) -> None:
    """The plain answer has text, a finish reason and a usage that adds up."""
    client = await (await start()).openai()
    answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == "Echo: one two three four five"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 8)
    assert answer.usage.total_tokens == 14


async def test_a_maximum_of_tokens_cuts_the_text_and_says_so(start: Start) -> None:
    """A text longer than the caller allows ends with finish reason length."""
    client = await (await start()).openai()
    answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=2)
    assert answer.choices[0].message.content == "Echo: on"
    assert answer.choices[0].finish_reason == "length"


async def test_a_chat_stream_ends_with_reason_usage_and_done(start: Start) -> None:
    """The deltas give the same text as the plain answer, then come the finish reason and the usage."""
    client = await (await start()).openai()
    stream = await client.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Echo: one two three four five"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 14


async def test_a_chat_stream_ends_with_the_done_mark_on_the_wire(start: Start) -> None:
    """The last bytes are the mark that clients wait for, and no usage comes unasked."""
    http = await (await start()).http()
    answer = await http.post("/v1/chat/completions", json=chat_body(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content.endswith(b"\n\ndata: [DONE]\n\n")
    assert b"usage" not in answer.content


async def test_a_response_and_its_stream_agree(start: Start) -> None:
    """The Responses API answers the same text both ways, numbered without a gap."""
    client = await (await start()).openai()
    plain = await client.responses.create(model="gpt-5", input="one two")
    async with client.responses.stream(model="gpt-5", input="one two") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert plain.output_text == final.output_text == "Echo: one two"
    assert plain.usage is not None
    assert plain.usage.total_tokens == plain.usage.input_tokens + plain.usage.output_tokens
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"


async def test_embeddings_depend_on_the_text_alone_in_both_encodings(start: Start) -> None:
    """The client's default (base64) and plain floats give the same unit vector."""
    client = await (await start()).openai()
    packed = await client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=8)
    floats = await client.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"], dimensions=8, encoding_format="float"
    )
    for one, other in zip(packed.data, floats.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert sum(number * number for number in packed.data[0].embedding) == pytest.approx(1, abs=1e-5)


async def test_moderations_and_models_are_readable(start: Start) -> None:
    """The small routes answer what the client expects."""
    client = await (await start()).openai()
    verdicts = await client.moderations.create(input=["fine", "flag-me"])
    assert [one.flagged for one in verdicts.results] == [False, True]
    assert "gpt-4o" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


async def test_answers_carry_the_providers_headers(start: Start) -> None:
    """Identity and limits are in the head even when no limit is set; each key is an organisation."""
    world = await start()
    http = await world.http()
    answer = await http.post("/v1/chat/completions", json=chat_body())
    for name in ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization", "date", "cf-ray"):
        assert name in answer.headers
    for name in ("requests", "tokens"):
        assert int(answer.headers[f"x-ratelimit-remaining-{name}"]) <= int(answer.headers[f"x-ratelimit-limit-{name}"])
        assert answer.headers[f"x-ratelimit-reset-{name}"].endswith("s")
    other = await http.post("/v1/chat/completions", json=chat_body(), headers={"authorization": "Bearer sk-other"})
    assert other.headers["openai-organization"] != answer.headers["openai-organization"]


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"headers": {"authorization": ""}}, 401, None, None),
        ({"headers": {"authorization": "sk-without-scheme"}}, 401, None, None),
        ({"headers": {"authorization": "Bearer sk-bad-key"}}, 401, "invalid_api_key", None),
        ({"content": b"{"}, 400, None, None),
        ({"content": b"[]"}, 400, None, None),
        ({"json": {"messages": [1]}}, 400, "missing_required_parameter", "model"),
        ({"json": {"model": "gpt-4o"}}, 400, "missing_required_parameter", "messages"),
        ({"json": {"model": "gpt-4o", "messages": "hello"}}, 400, "invalid_type", "messages"),
        ({"json": chat_body(model="no-such-model")}, 404, "model_not_found", None),
        ({"url": "/v1/chat/completion", "json": {}}, 404, None, None),
        ({"method": "GET"}, 405, "method_not_supported", None),
        ({"data": {"model": "gpt-4o"}}, 400, "unsupported_content_type", None),
    ],
)
async def test_wrong_calls_are_refused_in_openais_shape(
    start: Start, change: dict[str, object], status: int, code: str | None, param: str | None
) -> None:
    """Each mistake gets the status, code and parameter that OpenAI gives it."""
    http = await (await start()).http()
    call: dict[str, object] = {"method": "POST", "url": "/v1/chat/completions", **change}
    answer = await http.request(**call)  # type: ignore[arg-type]
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert answer.headers["x-request-id"].startswith("req_")


async def test_early_refusals_lack_the_headers_of_the_application(start: Start) -> None:
    """A call stopped by its key carries no processing time and no limits."""
    http = await (await start()).http()
    answer = await http.get("/v1/models", headers={"authorization": ""})
    assert answer.headers["www-authenticate"] == 'Bearer realm="OpenAI API"'
    assert not [name for name in answer.headers if name.startswith(("openai-", "x-ratelimit-"))]


async def test_the_client_raises_its_own_errors(start: Start) -> None:
    """The official client maps refusals to its exception classes."""
    world = await start()
    with pytest.raises(openai.AuthenticationError):
        await (await world.openai(key="sk-bad")).models.list()
    with pytest.raises(openai.NotFoundError):
        await (await world.openai()).models.retrieve("no-such-model")


async def test_a_body_over_the_limit_is_refused_unread(start: Start) -> None:
    """Too many bytes give 413 and end the connection."""
    world = await start(max_body_bytes=100)
    http = await world.http()
    try:
        answer = await http.post("/v1/chat/completions", json=chat_body("x" * 200))
    except httpx2.TransportError:
        # The refusal may overtake the rest of the body.
        pass
    else:
        assert answer.status_code == 413
    assert [(row.status, row.billable) for row in world.simulator.ledger.rows] == [(413, False)]
