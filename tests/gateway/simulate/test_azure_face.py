"""What OpenAI's client for Azure reads from the simulator."""

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.gateway.simulate.world import KEY, HandClock, Start

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two three four five"}]
CHAT = "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
HEADERS = {"api-key": KEY, "authorization": ""}
BODY = {"messages": MESSAGES}


async def test_a_deployment_answers_as_a_model(start: Start) -> None:
    """The deployment in the path is the model, and the answer carries what the content filter found."""
    world = await start()
    client = await world.azure()
    answer = await client.chat.completions.create(model="my-deployment", messages=MESSAGES)
    assert answer.choices[0].message.content == "Echo: one two three four five"
    assert answer.model == "my-deployment"
    assert answer.choices[0].model_dump()["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    (row,) = world.simulator.ledger.rows
    assert row.path == "/openai/deployments/my-deployment/chat/completions"
    assert (row.query, row.model, row.billable) == ("api-version=2024-10-21", "my-deployment", True)


async def test_the_body_needs_no_model(start: Start) -> None:
    """What the path says need not be said again."""
    http = await (await start()).http()
    answer = await http.post(CHAT, json=BODY, headers=HEADERS)
    assert (answer.status_code, answer.json()["model"]) == (200, "my-deployment")


async def test_the_first_chunk_of_a_stream_has_no_choices(start: Start) -> None:
    """It tells what the filter found in the prompt; then comes OpenAI's own stream, to the done mark."""
    world = await start()
    client = await world.azure()
    chunks = [chunk async for chunk in await client.chat.completions.create(model="d", messages=MESSAGES, stream=True)]
    assert chunks[0].choices == []
    assert chunks[0].model_dump()["prompt_filter_results"][0]["prompt_index"] == 0
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[1:]) == "Echo: one two three four five"
    assert chunks[-1].choices[0].finish_reason == "stop"
    raw = await (await world.http()).post(CHAT, json={**BODY, "stream": True}, headers=HEADERS)
    assert raw.text.startswith('data: {"choices":[],"created":0,"id":""')
    assert raw.text.endswith("data: [DONE]\n\n")


async def test_the_other_deployment_routes_answer(start: Start) -> None:
    """Embeddings, the older completions, and responses beside the deployments."""
    client = await (await start()).azure()
    assert len((await client.embeddings.create(model="d", input="a", dimensions=8)).data[0].embedding) == 8
    assert (await client.completions.create(model="d", prompt="one two")).choices[0].text == "Echo: one two"
    assert (await client.responses.create(model="d", input="one two")).output_text == "Echo: one two"
    assert "gpt-4o" in [model.id async for model in client.models.list()]


async def test_the_versionless_form_speaks_as_azure_to_who_has_its_key_header(start: Start) -> None:
    """Beneath /openai/v1 the key's header tells Azure from Groq, or the header of the simulator does."""
    world = await start()
    http = await world.http()
    body = {"model": "gpt-4o", "messages": MESSAGES}
    azure = await http.post("/openai/v1/chat/completions", json=body, headers=HEADERS)
    told = await http.post("/openai/v1/chat/completions", json=body, headers={"x-simulate-provider": "azure"})
    groq = await http.post("/openai/v1/chat/completions", json=body)
    assert ["apim-request-id" in one.headers for one in (azure, told, groq)] == [True, True, False]
    assert [one.status_code for one in (azure, told, groq)] == [200, 200, 200]
    client = await world.openai(prefix="/openai/v1")
    client = client.with_options(default_headers={"api-key": KEY})
    assert (await client.responses.create(model="m", input="one")).output_text == "Echo: one"
    assert (await client.embeddings.create(model="m", input="one")).data
    assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


async def test_answers_carry_azures_headers(start: Start) -> None:
    """Request identifier, region and what is left of the limits; none of Cloudflare's and none of OpenAI's."""
    http = await (await start(requests_per_minute=5)).http()
    answer = await http.post(CHAT, json=BODY, headers=HEADERS)
    assert len(answer.headers["apim-request-id"]) == 36
    assert answer.headers["x-ms-region"] == "Sweden Central"
    assert answer.headers["x-ratelimit-remaining-requests"] == "4"
    assert "x-ratelimit-remaining-tokens" in answer.headers
    assert not [
        name for name in answer.headers if name.startswith(("cf-", "openai-")) or name.endswith("reset-requests")
    ]


@pytest.mark.parametrize(
    ("change", "status", "code", "words"),
    [
        ({"headers": {"api-key": ""}}, 401, "401", "Access denied due to invalid subscription key"),
        ({"headers": {"api-key": "bad"}}, 401, "401", "Access denied due to invalid subscription key"),
        ({"url": CHAT.partition("?")[0]}, 404, "404", "Resource not found"),
        ({"url": "/openai/responses", "json": {"model": "m"}}, 404, "404", "Resource not found"),
        ({"url": "/openai/nothing?api-version=1"}, 404, "404", "Resource not found"),
        ({"method": "GET"}, 404, "404", "Resource not found"),
        ({"url": CHAT.replace("my-deployment", "no-such-model")}, 404, "DeploymentNotFound", "does not exist"),
        ({"json": {}}, 400, "missing_required_parameter", "messages"),
        ({"content": b"{"}, 400, None, "parse the JSON body"),
    ],
)
async def test_wrong_calls_are_refused_in_azures_shape(
    start: Start, change: dict[str, object], status: int, code: str | None, words: str
) -> None:
    """Each mistake gets the status and code that Azure gives it."""
    http = await (await start()).http()
    call: dict[str, object] = {"method": "POST", "url": CHAT, **change}
    call["headers"] = {**HEADERS, **change.get("headers", {})}  # type: ignore[dict-item]
    if call["method"] == "POST" and "content" not in call:
        call.setdefault("json", BODY)
    answer = await http.request(**call)  # type: ignore[arg-type]
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert words in error["message"]
    assert "apim-request-id" in answer.headers


async def test_a_bearer_token_is_a_credential_too(start: Start) -> None:
    """Entra's clients send no api-key."""
    http = await (await start()).http()
    assert (await http.post(CHAT, json=BODY)).status_code == 200


async def test_a_limit_is_told_in_azures_words(start: Start, clock: HandClock) -> None:
    """The second call of a minute is refused with its wait in all three headers and in the message."""
    http = await (await start(requests_per_minute=1, clock=clock)).http()
    await http.post(CHAT, json=BODY, headers=HEADERS)
    refused = await http.post(CHAT, json=BODY, headers=HEADERS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "429")
    assert "API version 2024-10-21 have exceeded call rate limit" in refused.json()["error"]["message"]
    waits = [refused.headers[name] for name in ("retry-after", "retry-after-ms", "x-ms-retry-after-ms")]
    assert waits == ["60", "60000", "60000"]
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"


async def test_the_client_raises_its_own_errors(start: Start) -> None:
    """A failure that was asked for by the deployment's name, and one in the middle of a stream."""
    client = await (await start()).azure()
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="simulate:request.content_policy", messages=MESSAGES)
    assert caught.value.code == "content_filter"
    with pytest.raises(openai.APIError, match="had an error"):
        async for _ in await client.chat.completions.create(
            model="simulate:service.stream_error", messages=MESSAGES, stream=True
        ):
            pass
    with pytest.raises(openai.BadRequestError, match=r"as azure\. "):
        await client.chat.completions.create(model="simulate:nothing", messages=MESSAGES)


async def test_a_provider_that_is_none_is_refused(start: Start) -> None:
    """A mistyped name does not silently mean OpenAI."""
    http = await (await start()).http()
    body = {"model": "m", "messages": MESSAGES}
    answer = await http.post("/v1/chat/completions", json=body, headers={"x-simulate-provider": "acme"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "simulate_misuse")


async def test_a_broken_stream_breaks_on_azure_as_well(start: Start) -> None:
    """What happens on the wire is the same for every face."""
    http = await (await start()).http()
    headers = {**HEADERS, "x-simulate": "network.stream_interrupted?after_events=2"}
    with pytest.raises(httpx2.RemoteProtocolError):
        await http.post(CHAT, json={**BODY, "stream": True}, headers=headers)
