"""What Anthropic's own client reads from the simulator."""

import anthropic
import pytest

from tests.gateway.simulate.world import KEY, Start

MESSAGES: list[anthropic.types.MessageParam] = [{"role": "user", "content": "one two three"}]
BODY = {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": MESSAGES}
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "authorization": ""}


async def test_a_message_echoes_the_prompt_and_counts_its_tokens(start: Start) -> None:
    """The plain answer has text, a stop reason and a usage."""
    client = await (await start()).anthropic()
    answer = await client.messages.create(model="claude-sonnet-5-5", max_tokens=100, messages=MESSAGES)
    assert [block.text for block in answer.content if block.type == "text"] == ["Echo: one two three"]
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 5)


async def test_a_message_stream_has_every_event_in_order(start: Start) -> None:
    """The stream's events are the documented ones, and add up to the plain answer."""
    world = await start()
    client = await world.anthropic()
    async with client.messages.stream(model="claude-sonnet-5-5", max_tokens=100, messages=MESSAGES) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert text == "Echo: one two three"
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5)
    raw = await (await world.http()).post("/v1/messages", json={**BODY, "stream": True}, headers=HEADERS)
    names = [line.removeprefix("event: ") for line in raw.text.splitlines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert set(names[3:-3]) == {"content_block_delta"}
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]


async def test_counting_and_models_are_readable(start: Start) -> None:
    """The small routes answer what the client expects."""
    client = await (await start()).anthropic()
    assert (await client.messages.count_tokens(model="claude-sonnet-5-5", messages=MESSAGES)).input_tokens == 4
    assert "claude-sonnet-5-5" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("claude-opus-5-5")).display_name == "Claude Opus 5 5"


async def test_answers_carry_the_providers_headers(start: Start) -> None:
    """Identity and limits are in the head, with resets in RFC 3339."""
    http = await (await start(wall_clock=lambda: 1_700_000_000.0)).http()
    answer = await http.post("/v1/messages", json=BODY, headers=HEADERS)
    assert answer.headers["request-id"].startswith("req_011C")
    assert "anthropic-organization-id" in answer.headers
    assert answer.headers["anthropic-ratelimit-requests-reset"] == "2023-11-14T22:13:21Z"
    assert not [name for name in answer.headers if name.startswith(("openai-", "x-ratelimit"))]


@pytest.mark.parametrize(
    ("change", "status", "kind", "words"),
    [
        ({"headers": {"x-api-key": ""}}, 401, "authentication_error", "x-api-key header is required"),
        ({"headers": {"x-api-key": "sk-ant-bad"}}, 401, "authentication_error", "invalid x-api-key"),
        ({"headers": {"anthropic-version": ""}}, 400, "invalid_request_error", "anthropic-version"),
        ({"content": b"nonsense"}, 400, "invalid_request_error", "not valid JSON"),
        ({"json": {"model": "m", "messages": MESSAGES}}, 400, "invalid_request_error", "max_tokens: Field required"),
        ({"json": {**BODY, "model": "no-such-model"}}, 404, "not_found_error", "model: no-such-model"),
        ({"url": "/v1/messages/nothing", "json": {}}, 404, "not_found_error", "Not Found"),
        ({"method": "GET"}, 405, "invalid_request_error", "Method Not Allowed"),
    ],
)
async def test_wrong_calls_are_refused_in_anthropics_shape(
    start: Start, change: dict[str, object], status: int, kind: str, words: str
) -> None:
    """Each mistake gets the status and type that Anthropic gives it, with the request's identifier."""
    http = await (await start()).http()
    call: dict[str, object] = {"method": "POST", "url": "/v1/messages", **change}
    call["headers"] = {**HEADERS, **change.get("headers", {})}  # type: ignore[dict-item]
    if call["method"] == "POST" and "content" not in call:
        call.setdefault("json", BODY)
    answer = await http.request(**call)  # type: ignore[arg-type]
    body = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert words in body["error"]["message"]
    assert body["request_id"] == answer.headers["request-id"]


async def test_a_bearer_token_is_a_credential_too(start: Start) -> None:
    """OAuth clients send no x-api-key."""
    http = await (await start()).http()
    headers = {"anthropic-version": "2023-06-01", "authorization": "Bearer token"}
    assert (await http.post("/v1/messages", json=BODY, headers=headers)).status_code == 200
