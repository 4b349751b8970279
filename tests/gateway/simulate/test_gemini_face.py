"""What a client of Gemini reads from the simulator, on its own routes and on those of the OpenAI dialect."""

from typing import Any

import openai
import orjson
import pytest

from gateway.simulate.provider import key_hash_of
from tests.gateway.simulate.world import KEY, HandClock, Start, chat_body, gemini_body

MODEL = "/v1beta/models/gemini-2.5-flash"
GENERATE = f"{MODEL}:generateContent"
STREAM = f"{MODEL}:streamGenerateContent"
HEADERS = {"x-goog-api-key": KEY, "authorization": ""}


def said(chunks: list[dict[str, Any]]) -> str:
    """Return the text of some chunks."""
    return "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks)


async def test_content_echoes_the_prompt_and_counts_its_tokens(start: Start) -> None:
    """The plain answer has text, a finish reason, a usage that adds up, and who made it."""
    http = await (await start()).http()
    answer = await http.post(GENERATE, json=gemini_body(), headers=HEADERS)
    body = answer.json()
    assert said([body]) == "Echo: one two three"
    assert body["candidates"][0]["finishReason"] == "STOP"
    usage = body["usageMetadata"]
    assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["totalTokenCount"]) == (4, 5, 9)
    assert (body["modelVersion"], bool(body["responseId"])) == ("gemini-2.5-flash", True)
    assert answer.text.startswith('{\n  "candidates": [')


async def test_a_maximum_of_tokens_cuts_the_text_and_says_so(start: Start) -> None:
    """The maximum stands in the generation's settings."""
    http = await (await start()).http()
    body = gemini_body(generationConfig={"maxOutputTokens": 2})
    answer = (await http.post(GENERATE, json=body, headers=HEADERS)).json()
    assert (said([answer]), answer["candidates"][0]["finishReason"]) == ("Echo: on", "MAX_TOKENS")


async def test_a_stream_of_events_just_ends_after_the_finish_reason(start: Start) -> None:
    """With alt=sse there are events with CRLF and no done mark; only the last has a reason."""
    http = await (await start()).http()
    answer = await http.post(f"{STREAM}?alt=sse", json=gemini_body(), headers=HEADERS)
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"[DONE]" not in answer.content
    events = answer.text.split("\r\n\r\n")
    assert events.pop() == ""
    chunks = [orjson.loads(one.removeprefix("data: ")) for one in events]
    assert said(chunks) == "Echo: one two three"
    assert ["finishReason" in chunk["candidates"][0] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] == 9


async def test_without_sse_a_stream_is_one_json_list(start: Start) -> None:
    """The body as a whole can be parsed, and says the same; also when there is nothing to say."""
    http = await (await start()).http()
    answer = await http.post(STREAM, json=gemini_body(), headers=HEADERS)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.text.startswith('[{\n  "candidates"')
    assert "\n},\r\n{" in answer.text
    assert said(answer.json()) == "Echo: one two three"
    assert answer.json()[-1]["candidates"][0]["finishReason"] == "STOP"
    empty = await http.post(STREAM, json=gemini_body(), headers={**HEADERS, "x-simulate-events": "0"})
    assert len(empty.json()) == 1


async def test_the_small_routes_answer(start: Start) -> None:
    """Counting, embedding one and many, and models, beneath both versions."""
    http = await (await start()).http()
    for version in ("v1beta", "v1"):
        model = f"/{version}/models/gemini-embedding-001"
        content = {"parts": [{"text": "a"}]}
        counted = await http.post(f"{model}:countTokens", json=gemini_body(), headers=HEADERS)
        assert counted.json()["totalTokens"] == 4
        one = await http.post(
            f"{model}:embedContent", json={"content": content, "outputDimensionality": 8}, headers=HEADERS
        )
        many = await http.post(
            f"{model}:batchEmbedContents",
            json={"requests": [{"content": content, "outputDimensionality": 8}] * 2},
            headers=HEADERS,
        )
        assert many.json()["embeddings"] == [one.json()["embedding"]] * 2
        assert len(one.json()["embedding"]["values"]) == 8
        listed = await http.get(f"/{version}/models", headers=HEADERS)
        assert "models/gemini-2.5-flash" in [found["name"] for found in listed.json()["models"]]
        assert (await http.get(model, headers=HEADERS)).json()["displayName"] == "Gemini Embedding 001"


@pytest.mark.parametrize(
    ("headers", "query"), [({"x-goog-api-key": KEY}, ""), ({}, f"?key={KEY}"), ({"authorization": f"Bearer {KEY}"}, "")]
)
async def test_the_key_may_stand_in_three_places(start: Start, headers: dict[str, str], query: str) -> None:
    """In its own header, in the query, or as a bearer token, it is one and the same key."""
    world = await start()
    http = await world.http()
    answer = await http.post(GENERATE + query, json=gemini_body(), headers={"authorization": "", **headers})
    assert answer.status_code == 200
    (row,) = world.simulator.ledger.rows
    assert (row.key_hash, row.model, row.billable) == (key_hash_of(KEY), "gemini-2.5-flash", True)


@pytest.mark.parametrize(
    ("change", "code", "status", "words"),
    [
        ({"headers": {"x-goog-api-key": ""}}, 403, "PERMISSION_DENIED", "unregistered callers"),
        ({"headers": {"x-goog-api-key": "bad"}}, 400, "INVALID_ARGUMENT", "API key not valid"),
        ({"headers": {"x-goog-api-key": "", "authorization": "Bearer"}}, 400, "INVALID_ARGUMENT", "Authorization"),
        ({"url": "/v1beta/models/no-such-model:generateContent"}, 404, "NOT_FOUND", "models/no-such-model"),
        ({"url": "/v1beta/models/no-such-model", "method": "GET"}, 404, "NOT_FOUND", "models/no-such-model"),
        ({"json": {}}, 400, "INVALID_ARGUMENT", "contents is not specified"),
        ({"json": {"contents": "hello"}}, 400, "INVALID_ARGUMENT", "Invalid value at 'contents'"),
        ({"content": b"{"}, 400, "INVALID_ARGUMENT", "Invalid JSON payload"),
    ],
)
async def test_wrong_calls_are_refused_in_googles_shape(
    start: Start, change: dict[str, object], code: int, status: str, words: str
) -> None:
    """Each mistake gets the code and status that Google gives it."""
    http = await (await start()).http()
    call: dict[str, object] = {"method": "POST", "url": GENERATE, **change}
    call["headers"] = {**HEADERS, **change.get("headers", {})}  # type: ignore[dict-item]
    if call["method"] == "POST" and "content" not in call:
        call.setdefault("json", gemini_body())
    answer = await http.request(**call)  # type: ignore[arg-type]
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (code, code, status)
    assert words in error["message"]


async def test_an_unknown_path_gets_googles_page(start: Start) -> None:
    """The refusal of a path or a method is HTML, not JSON."""
    http = await (await start()).http()
    for call in (http.post("/v1beta/nothing", headers=HEADERS), http.get(GENERATE, headers=HEADERS)):
        answer = await call
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=UTF-8")


async def test_where_a_list_was_asked_for_an_error_is_in_a_list(start: Start) -> None:
    """Refusals and errors in the middle keep the form of the stream."""
    http = await (await start()).http()
    refused = {**HEADERS, "x-goog-api-key": "bad"}
    assert (await http.post(STREAM, json=gemini_body(), headers=refused)).json()[0]["error"]["code"] == 400
    assert (await http.post(f"{STREAM}?alt=sse", json=gemini_body(), headers=refused)).json()["error"]["code"] == 400
    for after in range(3):
        broken = {**HEADERS, "x-simulate": f"service.stream_error?after_events={after}"}
        chunks = (await http.post(STREAM, json=gemini_body(), headers=broken)).json()
        assert [list(chunk)[0] for chunk in chunks] == ["candidates"] * after + ["error"]  # noqa: RUF015
        events = (await http.post(f"{STREAM}?alt=sse", json=gemini_body(), headers=broken)).text
        assert events.count('data: {"candidates"') == after
        assert events.endswith("}}\r\n\r\n")
    misused = await http.post(STREAM, json=gemini_body(), headers={**HEADERS, "x-simulate": "nothing"})
    assert "as gemini. " in misused.json()[0]["error"]["message"]


async def test_a_stream_without_its_end_lacks_the_finish_reason(start: Start) -> None:
    """Both framings end cleanly on the wire, and say nothing of completeness."""
    http = await (await start()).http()
    headers = {**HEADERS, "x-simulate": "service.stream_truncated?after_events=2"}
    for query in ("", "?alt=sse"):
        answer = await http.post(STREAM + query, json=gemini_body(), headers=headers)
        assert answer.text.count('"text"') == 2
        assert "finishReason" not in answer.text


async def test_a_limit_is_told_in_googles_details(start: Start, clock: HandClock) -> None:
    """Which quota and how long stand in the details; no header tells of a limit."""
    http = await (await start(requests_per_minute=1, clock=clock)).http()
    first = await http.post(GENERATE, json=gemini_body(), headers=HEADERS)
    assert not [name for name in first.headers if "ratelimit" in name or name.startswith("cf-")]
    refused = await http.post(GENERATE, json=gemini_body(), headers=HEADERS)
    error = refused.json()["error"]
    assert (refused.status_code, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    details = {one["@type"].rpartition(".")[2]: one for one in error["details"]}
    assert details["QuotaFailure"]["violations"][0]["quotaValue"] == "1"
    assert details["RetryInfo"]["retryDelay"] == "60s"
    assert "retry-after" not in refused.headers


async def test_tokens_of_the_answer_count_though_it_is_not_streamed(start: Start, clock: HandClock) -> None:
    """Nine tokens a call: one fits into 17, two do not."""
    http = await (await start(tokens_per_minute=17, clock=clock)).http()
    answers = [await http.post(GENERATE, json=gemini_body(), headers=HEADERS) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 429]
    assert "InputTokensPerModelPerMinute" in answers[1].text


async def test_the_openai_dialect_answers_beneath_its_own_prefix(start: Start) -> None:
    """OpenAI's client reads answers, streams, vectors and models."""
    client = await (await start()).openai(prefix="/v1beta/openai")
    answer = await client.chat.completions.create(**chat_body("one two", model="gemini-2.5-flash"))  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "Echo: one two"
    stream = await client.chat.completions.create(**chat_body("one two", stream=True))  # type: ignore[call-overload]
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Echo: one two"
    assert (await client.embeddings.create(model="gemini-embedding-001", input="a")).data
    assert "models/gemini-2.5-flash" in [model.id async for model in client.models.list()]


async def test_errors_of_the_openai_dialect_are_googles_in_a_list(start: Start) -> None:
    """OpenAI's client knows the status alone, because it does not look into lists."""
    client = await (await start()).openai(prefix="/v1beta/openai")
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(**chat_body(model="simulate:rate_limit.requests"))  # type: ignore[call-overload]
    (wrapped,) = caught.value.response.json()
    assert wrapped["error"]["status"] == "RESOURCE_EXHAUSTED"
