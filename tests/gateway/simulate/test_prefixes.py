"""The OpenAI dialect beneath the prefixes of those who speak it."""

import openai
import pytest

from tests.gateway.simulate.world import Start, chat_body

PREFIXES = ("/v1", "", "/openai/v1", "/api/v1", "/compatible-mode/v1", "/api/paas/v4", "/inference/v1")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_prefix_speaks_the_whole_dialect(start: Start, prefix: str) -> None:
    """Chat, streams, vectors and models are where that provider's client looks for them."""
    world = await start()
    client = await world.openai(prefix=prefix)
    answer = await client.chat.completions.create(**chat_body("one two"))  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "Echo: one two"
    stream = await client.chat.completions.create(**chat_body("one two", stream=True))  # type: ignore[call-overload]
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Echo: one two"
    assert (await client.completions.create(model="m", prompt="one two")).choices[0].text == "Echo: one two"
    pieces = [
        part.choices[0].text async for part in await client.completions.create(model="m", prompt="a", stream=True)
    ]
    assert "".join(pieces) == "Echo: a"
    assert (await client.responses.create(model="m", input="one")).output_text == "Echo: one"
    assert (await client.embeddings.create(model="m", input="a")).data
    assert (await client.models.retrieve("vendor/gpt-4o")).id == "vendor/gpt-4o"
    assert len(world.simulator.ledger.rows) == 7


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_prefix_fails_on_demand(start: Start, prefix: str) -> None:
    """A declared failure and a missing key are told in the dialect's envelope."""
    world = await start()
    client = await world.openai(prefix=prefix)
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(**chat_body(model="simulate:quota.exhausted"))  # type: ignore[call-overload]
    assert caught.value.code == "insufficient_quota"
    refused = await (await world.http()).post(f"{prefix}/chat/completions", headers={"authorization": ""})
    assert refused.status_code == 401


async def test_only_openrouter_comments_before_it_answers(start: Start) -> None:
    """The comments come before the first event, which is still the first for who reads events."""
    http = await (await start()).http()
    body = chat_body(stream=True)
    assert (await http.post("/api/v1/chat/completions", json=body)).text.startswith(": OPENROUTER PROCESSING\n\n")
    assert (await http.post("/v1/chat/completions", json=body)).text.startswith("data: ")
