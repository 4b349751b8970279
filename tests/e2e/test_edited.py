"""Routes that the user edits are mitmproxy's; all others keep the lane, on the same connection and beside them."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.sockets import Way
from tests.e2e.world import Row, World, job, new_key, new_world
from tests.running import GatewayProcess, RawUpstream, gateway_and_upstream, lane, plain, read_answer

EDIT = '[listen]\nedit = ["openai/v1/chat/*"]\n'
WAYS: tuple[Way, ...] = ("proxy", "base URL")


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("edited"), EDIT) as made:
        yield made


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, RawUpstream]]:
    with gateway_and_upstream(tmp_path_factory.mktemp("raw"), EDIT) as both:
        yield both


async def row_of(gateway: GatewayProcess, writer: asyncio.StreamWriter) -> Row:
    """Wait for the one row of a connection."""
    client = "{}:{}".format(*writer.get_extra_info("sockname")[:2])
    rows = await asyncio.to_thread(gateway.rows_of, client)
    assert len(rows) == 1
    return rows[0]


async def ask(
    gateway: GatewayProcess, way: Way, path: str, body: bytes, *headers: str
) -> tuple[bytes, bytes, Any, Any]:
    """Send one call; give head and body of the answer, and the connection."""
    reader, writer = await (lane(gateway) if way == "proxy" else plain(gateway))
    await say(writer, way, path, body, *headers)
    return *(await read_answer(reader)), reader, writer


async def say(writer: asyncio.StreamWriter, way: Way, path: str, body: bytes, *headers: str) -> None:
    host, prefix = ("api.openai.com", "") if way == "proxy" else ("localhost", "/openai")
    lines = [f"POST {prefix}{path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    if not any(line.lower().startswith("authorization") for line in lines):
        lines.append(f"Authorization: Bearer {new_key()}")
    writer.write("\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode() + body)
    await writer.drain()


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_of_an_edited_route_reaches_the_provider_and_has_a_row(editor: World, way: Way) -> None:
    key = new_key()
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"one two"}]}'
    head, answer, reader, writer = await ask(
        editor.gateway, way, "/v1/chat/completions", body, f"Authorization: Bearer {key}"
    )
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(answer)["choices"][0]["message"]["content"] == "Echo: one two"
    assert b"x-whygate-flow-id" not in head
    assert b"connection: close" in head.lower()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert len(editor.provider.rows(key)) == 1
    row = await row_of(editor.gateway, writer)
    wanted = {"kind": "api", "provider": "openai", "endpoint": "chat.completions", "status": 200, "cause": None}
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize("style", ["sync", "async"])
@pytest.mark.parametrize("app", ["proxied", "based"])
async def test_the_official_sdk_does_not_notice(editor: World, app: str, style: str) -> None:
    """Streamed answers come whole, and the next call finds a connection."""
    asked = [
        job(prompt="three four", style=style), job(prompt="five six seven", style=style, stream=True),
        job("responses", prompt="eight", style=style), job(prompt="nine", style=style),
    ]  # fmt: skip
    results = await asyncio.to_thread(getattr(editor, app).ask, asked, together=False)
    assert [result["error"] for result in results] == [None] * 4
    assert [result["text"] for result in results] == [
        "Echo: three four",
        "Echo: five six seven",
        "Echo: eight",
        "Echo: nine",
    ]
    on_lane = ["x-whygate-flow-id" in result["headers"] for result in results]
    assert on_lane == [False, False, True, False]


@pytest.mark.parametrize("way", WAYS)
async def test_an_edited_call_behind_another_on_one_connection_is_served(editor: World, way: Way) -> None:
    reader, writer = await (lane(editor.gateway) if way == "proxy" else plain(editor.gateway))
    await say(writer, way, "/v1/responses", b'{"model":"m","input":"one"}')
    head, _ = await read_answer(reader)
    assert b"x-whygate-flow-id" in head
    await say(writer, way, "/v1/chat/completions", b'{"model":"m","messages":[{"role":"user","content":"two"}]}')
    head, answer = await read_answer(reader)
    assert b"Echo: two" in answer
    assert b"x-whygate-flow-id" not in head


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [100, 3_000_000])
async def test_what_the_provider_gets_is_what_the_app_sent_but_for_our_headers(
    raw: tuple[GatewayProcess, RawUpstream], way: Way, size: int
) -> None:
    gateway, upstream = raw
    seen: dict[str, bytes] = {}

    async def keep(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen["head"], seen["body"] = head, await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nx-a: b\r\nx-whygate-cause: forged\r\ncontent-length: 2\r\n\r\n{}")

    target, body = upstream.on(keep), b'{"a":"' + b"x" * size + b'"}'
    ours = ("X-Whygate-Cache: no-cache", "Proxy-Authorization: Basic eA==", "Proxy-Connection: keep-alive", "X-Mine: 1")
    head, answer, _, _ = await ask(gateway, way, target, body, *ours)
    assert answer == b"{}"
    assert b"x-a: b" in head
    assert seen["body"] == body
    sent = seen["head"].lower()
    assert sent.startswith(b"post " + target.encode() + b" http/1.1\r\n")
    assert b"\r\nhost: 127.0.0.1:%d\r\n" % upstream.port in sent
    assert b"\r\nx-mine: 1\r\n" in sent
    assert sent.count(b"x-whygate-") == sent.count(b"\r\nx-whygate-hop: ") == 1, "the mark against circles"
    assert b"proxy-" not in sent


async def test_a_streamed_answer_arrives_whole(raw: tuple[GatewayProcess, RawUpstream]) -> None:
    gateway, upstream = raw
    events = [b'data: {"n":%d}\n\n' % number for number in range(200)]

    async def stream(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    _, answer, _, _ = await ask(gateway, "proxy", upstream.on(stream), b"{}")
    assert answer == b"".join(events)


@pytest.mark.parametrize("way", WAYS)
async def test_a_failed_call_of_an_edited_route_has_its_verdict_in_the_row(editor: World, way: Way) -> None:
    head, answer, _, writer = await ask(
        editor.gateway,
        way,
        "/v1/chat/completions",
        b'{"model":"m","messages":[{"role":"user","content":"x"}]}',
        "X-Simulate: rate_limit.requests",
    )
    assert head.startswith(b"HTTP/1.1 429")
    assert json.loads(answer)["error"]["code"] == "rate_limit_exceeded"
    row = await row_of(editor.gateway, writer)
    assert (row["status"], row["cause"]) == (429, "rate_limit.requests")


async def test_an_app_that_leaves_an_edited_call_ends_it(raw: tuple[GatewayProcess, RawUpstream]) -> None:
    gateway, upstream = raw
    loop = asyncio.get_running_loop()
    asked, over = asyncio.Event(), asyncio.Event()

    async def wait(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        loop.call_soon_threadsafe(asked.set)
        await reader.read()
        loop.call_soon_threadsafe(over.set)

    _, writer = await lane(gateway)
    await say(writer, "proxy", upstream.on(wait), b"{}")
    await asyncio.wait_for(asked.wait(), 5)
    writer.transport.abort()
    await asyncio.wait_for(over.wait(), 5)
