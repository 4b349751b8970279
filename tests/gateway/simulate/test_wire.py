"""Broken connections: on a real socket they break, in memory they raise."""

import asyncio
import ssl
import time

import anthropic
import httpx2
import openai
import orjson
import pytest
import trustme

from gateway.simulate import ConnectionCut, build, serve
from tests.gateway.simulate.world import KEY, Start, World, chat_body

STREAM = chat_body("one two three four five six seven", stream=True)


async def exchange(world: World, simulate: str, body: dict[str, object]) -> tuple[bytes, str]:
    """Send one call over a raw socket; return all bytes of the answer and how the connection ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.handle.port)
    data = orjson.dumps(body)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"x-simulate: {simulate}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)
    received = b""
    end = "fin"
    async with asyncio.timeout(10):
        try:
            while part := await reader.read(65_536):
                received += part
        except ConnectionResetError:
            end = "rst"
    writer.close()
    return received, end


async def test_a_reset_before_the_head_is_a_real_rst(start: Start) -> None:
    """The client reads no byte and gets a reset."""
    assert await exchange(await start(), "network.connection_reset", chat_body()) == (b"", "rst")


async def test_a_reset_after_events_comes_in_the_middle_of_the_stream(start: Start) -> None:
    """The events before the break arrive, nothing that ends the stream does."""
    received, end = await exchange(await start(), "network.connection_reset?after_events=2", STREAM)
    assert end == "rst"
    assert received.count(b'"content":') == 3
    assert b"[DONE]" not in received


async def test_a_close_before_the_head_is_a_plain_end(start: Start) -> None:
    """The client sees the end of the connection where a head should be."""
    asked = "network.connection_reset?behaviour=close_before_head"
    assert await exchange(await start(), asked, chat_body()) == (b"", "fin")


async def test_a_truncated_stream_lacks_the_last_chunk(start: Start) -> None:
    """The connection ends inside the chunked body."""
    received, end = await exchange(await start(), "network.stream_interrupted?after_events=2", STREAM)
    assert end == "fin"
    assert received.count(b'"content":') == 3
    assert not received.endswith(b"0\r\n\r\n")


async def test_a_truncated_body_is_shorter_than_promised(start: Start) -> None:
    """The length in the head is that of the whole answer; half of it comes."""
    received, end = await exchange(await start(), "network.stream_interrupted", chat_body())
    head, _, body = received.partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert end == "fin"
    assert len(body) == promised // 2


async def test_a_clean_end_without_mark_is_clean_on_the_wire(start: Start) -> None:
    """The chunked body ends properly; finish reason and mark are missing."""
    world = await start()
    http = await world.http()
    headers = {"x-simulate": "service.stream_truncated?after_events=2"}
    answer = await http.post("/v1/chat/completions", json=STREAM, headers=headers)
    assert answer.text.count('"content":') == 3
    assert "[DONE]" not in answer.text
    assert '"stop"' not in answer.text


async def test_a_stall_keeps_the_connection_and_says_nothing(start: Start) -> None:
    """Before the head or after some events, silence lasts as long as stated, then the connection ends."""
    world = await start()
    began = time.monotonic()
    assert await exchange(world, "network.read_timeout?seconds=0.2", chat_body()) == (b"", "fin")
    received, _ = await exchange(world, "service.stream_stalled?after_events=1&seconds=0.2", STREAM)
    assert time.monotonic() - began >= 0.4
    assert received.count(b'"content":') == 2
    assert b"[DONE]" not in received


async def test_a_client_that_gives_up_on_a_stall_is_noticed(start: Start) -> None:
    """The official client's own timeout ends the call on both sides."""
    world = await start()
    client = await world.openai()
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.2).chat.completions.create(
            **chat_body(model="simulate:network.read_timeout")
        )  # type: ignore[call-overload]
    await world.simulator.ledger.settled()
    assert world.simulator.ledger.rows[0].aborted_by_client


async def test_a_late_answer_is_a_good_answer(start: Start) -> None:
    """A slow first byte delays and changes nothing."""
    http = await (await start()).http()
    began = time.monotonic()
    headers = {"x-simulate": "client.timeout_too_short?seconds=0.2"}
    answer = await http.post("/v1/chat/completions", json=chat_body(), headers=headers)
    assert time.monotonic() - began >= 0.2
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


async def test_an_error_event_is_raised_by_every_client(start: Start) -> None:
    """All three stream formats carry the error in the form that the official clients raise."""
    world = await start()
    client = await world.openai()
    with pytest.raises(openai.APIError, match="had an error"):
        async for _ in await client.chat.completions.create(**{**STREAM, "model": "simulate:service.stream_error"}):  # type: ignore[call-overload]
            pass
    with pytest.raises(openai.APIError, match="had an error"):
        async for _ in await client.responses.create(model="simulate:service.stream_error", input="x y z", stream=True):
            pass
    other = await world.anthropic()
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        async for _ in await other.messages.create(
            model="simulate:service.stream_error",
            max_tokens=9,
            messages=[{"role": "user", "content": "x y z"}],
            stream=True,
        ):
            pass
    assert [row.status for row in world.simulator.ledger.rows] == [200, 200, 200]


async def test_a_malformed_head_is_sent_as_it_stands(start: Start) -> None:
    """The raw bytes pass all framing."""
    received, end = await exchange(await start(), "service.protocol_error", chat_body())
    assert received.count(b"content-length") == 2
    assert end == "fin"


async def test_refuse_times_is_an_answer_that_ends_by_itself(start: Start) -> None:
    """Without a number it refuses once."""
    http = await (await start()).http()
    headers = {"x-simulate": "service.overloaded?behaviour=refuse_times"}
    answers = [await http.post("/v1/chat/completions", json=chat_body(), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]


async def test_in_memory_a_broken_connection_raises() -> None:
    """Without a transport there is nothing to break, and pretending would be a lie."""
    transport = httpx2.ASGITransport(app=build())
    headers = {"authorization": f"Bearer {KEY}", "x-simulate": "network.connection_reset"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulated") as http:
        assert (
            await http.post("/v1/chat/completions", json=chat_body(), headers=headers | {"x-simulate": "edge.blocked"})
        ).status_code == 403
        with pytest.raises(ConnectionCut):
            await http.post("/v1/chat/completions", json=chat_body(), headers=headers)


@pytest.mark.parametrize("cause", ["network.connection_reset", "network.stream_interrupted", "service.protocol_error"])
async def test_over_tls_connections_break_as_well(cause: str) -> None:
    """A good call passes, a broken one raises, and the listener stops in time."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with certificate.private_key_and_cert_chain_pem.tempfile() as pem:
        handle = await serve(build(), ssl_certfile=pem)
    headers = {"authorization": f"Bearer {KEY}"}
    async with handle, httpx2.AsyncClient(base_url=handle.url, verify=context, headers=headers) as http:
        assert handle.url.startswith("https://")
        assert (await http.post("/v1/chat/completions", json=chat_body())).status_code == 200
        with pytest.raises(httpx2.TransportError):
            await http.post("/v1/chat/completions", json=STREAM, headers={"x-simulate": cause})


async def test_stopping_cuts_what_is_running(start: Start) -> None:
    """A listener with a stalled call stops at once, and a second stop does no harm."""
    world = await start()
    running = asyncio.get_running_loop().create_task(exchange(world, "network.read_timeout", chat_body()))
    await world.until_a_call_is_running()
    began = time.monotonic()
    await world.handle.stop()
    await world.handle.stop()
    assert time.monotonic() - began < 1
    await running
    assert world.simulator.ledger.in_flight == 0
