"""Knobs, the echo, and bodies of any shape."""

import asyncio
import gzip
import hashlib
import time

import httpx2
import pytest

from tests.gateway.simulate.world import Start, chat_body


async def deltas(http: httpx2.AsyncClient, model: str = "gpt-4o", **headers: str) -> list[str]:
    """Return the data of the content events of one streamed chat."""
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await http.post("/v1/chat/completions", json=chat_body(model=model, stream=True), headers=renamed)
    return [part for part in answer.text.split("\n\n") if '"delta":{"content":' in part]


async def test_events_and_bytes_are_met_exactly(start: Start) -> None:
    """The number of events and the length of the text are what was asked for."""
    http = await (await start(events=7)).http()
    assert len(await deltas(http)) == 7
    assert len(await deltas(http, x_simulate_events="3")) == 3
    assert len(await deltas(http, model="simulate-long")) == 200
    answer = await http.post("/v1/chat/completions", json=chat_body(), headers={"x-simulate-bytes": "5000"})
    assert len(answer.json()["choices"][0]["message"]["content"]) == 5_000


async def test_pauses_are_kept(start: Start) -> None:
    """First byte and interval take at least as long as asked for."""
    http = await (await start(first_byte_seconds=60)).http()
    began = time.monotonic()
    await deltas(http, x_simulate_first_byte_ms="60", x_simulate_events="3", x_simulate_interval_ms="40")
    assert time.monotonic() - began >= 0.14


@pytest.mark.parametrize("value", ["many", "-1", "nan", "1e99"])
async def test_a_bad_knob_is_refused(start: Start, value: str) -> None:
    """A knob that cannot be understood does not silently do nothing."""
    http = await (await start()).http()
    answer = await http.post("/v1/chat/completions", json=chat_body(), headers={"x-simulate-events": value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "simulate_misuse")


async def test_equal_prompts_get_equal_texts(start: Start) -> None:
    """Only identifiers and times differ between two answers."""
    http = await (await start()).http()
    headers = {"x-simulate-events": "4"}
    answers = [(await http.post("/v1/chat/completions", json=chat_body(), headers=headers)).json() for _ in range(2)]
    assert answers[0]["choices"] == answers[1]["choices"]
    assert answers[0]["usage"] == answers[1]["usage"]
    assert answers[0]["id"] != answers[1]["id"]


async def test_the_echo_shows_the_request_byte_by_byte(start: Start) -> None:
    """Target, spelling, order and repetition of headers, and the body are reported as they were sent."""
    world = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.handle.port)
    writer.write(
        b"PUT /_simulate/echo/a%2Fb//c?x=%41&y=+&z HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nx-tWO: \xe9\r\n"
        b"Connection: close\r\nContent-Length: 3\r\n\r\n\x00\xff\n"
    )
    answer = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    seen = httpx2.Response(200, content=answer).json()
    assert (seen["method"], seen["target"]) == ("PUT", "/_simulate/echo/a%2Fb//c?x=%41&y=+&z")
    assert seen["headers"][:3] == [["Host", "h"], ["X-Two", "1"], ["x-tWO", "\xe9"]]
    assert (seen["body_bytes"], seen["body_sha256"]) == (3, hashlib.sha256(b"\x00\xff\n").hexdigest())
    assert [row.path for row in world.simulator.ledger.rows] == ["/_simulate/echo/a%2Fb//c"]


async def test_bytes_come_with_length_or_in_chunks(start: Start) -> None:
    """The same body is framed as asked for."""
    http = await (await start()).http()
    whole = await http.get("/_simulate/bytes", params={"bytes": 1_000})
    parts = await http.get("/_simulate/bytes", params={"bytes": 1_000, "framing": "chunked", "write_bytes": 100})
    assert whole.content == parts.content == (bytes(range(256)) * 4)[:1_000]
    assert whole.headers["content-length"] == "1000"
    assert parts.headers["transfer-encoding"] == "chunked"


async def test_bytes_can_be_compressed(start: Start) -> None:
    """The raw body is gzip and says so."""
    http = await (await start()).http()
    async with http.stream("GET", "/_simulate/bytes", params={"bytes": 1_000, "encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == (bytes(range(256)) * 4)[:1_000]


async def test_bytes_can_have_any_status_and_any_headers(start: Start) -> None:
    """Repeated and non-ASCII headers, a missing body, and odd statuses are possible; nonsense is refused."""
    http = await (await start()).http()
    odd = await http.get("/_simulate/bytes?status=418&header=x-two:1&header=x-two:2&header=x-latin:caf%E9")
    assert (odd.status_code, odd.headers.get_list("x-two")) == (418, ["1", "2"])
    assert (b"x-latin", b"caf\xe9") in odd.headers.raw
    empty = await http.get("/_simulate/bytes?status=204&header=x-one:1")
    assert (empty.status_code, empty.content, empty.headers["x-one"]) == (204, b"", "1")
    assert "content-length" not in empty.headers
    for query in ("status=99", "bytes=-1", "bytes=x", "header=nothing"):
        assert (await http.get(f"/_simulate/bytes?{query}")).status_code == 400


async def test_events_can_be_cut_anywhere_or_be_very_large(start: Start) -> None:
    """Event streams in single bytes and with one event of 2 MiB arrive unchanged."""
    http = await (await start()).http()
    small = await http.get("/_simulate/bytes?sse=small&write_bytes=1")
    assert small.headers["content-type"] == "text/event-stream"
    assert small.content.endswith(b"data: [DONE]\n\n")
    assert small.content == (await http.get("/_simulate/bytes?sse=small")).content
    big = await http.get("/_simulate/bytes?sse=big")
    assert len(big.content.partition(b"\n\n")[0]) == len("data: ") + 2 * 1024 * 1024


async def test_a_head_request_gets_no_body(start: Start) -> None:
    """HEAD is answered by the head of GET."""
    http = await (await start()).http()
    answer = await http.head("/_simulate/bytes?bytes=10")
    assert (answer.headers["content-length"], answer.content) == ("10", b"")
