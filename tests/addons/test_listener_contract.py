"""The contract that a version of mitmproxy, uvicorn and aiohttp must pass before it is pinned: checks on the wire."""

import asyncio
import contextlib
import gzip
import hashlib

import pytest

from tests.running import GatewayProcess, RawUpstream, lane, plain, read_answer, reset

Wire = tuple[GatewayProcess, RawUpstream]
JSON = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def post(target: str, body: bytes = JSON, *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = [b"POST %b HTTP/%b" % (target.encode(), version), b"Host: api.openai.com", b"Authorization: Bearer sk-x"]
    lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def body_of(head: bytes, reader: asyncio.StreamReader) -> bytes:
    lower = head.lower()
    if b"content-length: " in lower:
        return await reader.readexactly(int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]))
    if b"transfer-encoding: chunked" not in lower:
        return b""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def answer_ok(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await body_of(head, reader)
    writer.write(OK)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text.encode()


async def test_a_connection_is_kept_for_the_next_call(wire: Wire) -> None:
    gateway, upstream = wire
    target = upstream.on(answer_ok)
    reader, writer = await lane(gateway)
    for _ in range(3):
        writer.write(post(target))
        head, body = await read_answer(reader)
        assert (head[:15], body) == (b"HTTP/1.1 200 OK", b"{}")
    writer.close()


async def test_pipelined_calls_are_answered_in_order(wire: Wire) -> None:
    gateway, upstream = wire

    async def slow_first(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await body_of(head, reader)
        if body == b"1":
            await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + body)

    target = upstream.on(slow_first)
    reader, writer = await lane(gateway)
    writer.write(post(target, b"1") + post(target, b"2") + post(target, b"3"))
    assert [(await read_answer(reader))[1] for _ in range(3)] == [b"1", b"2", b"3"]
    writer.close()


async def test_chunked_requests_arrive_whole(wire: Wire) -> None:
    gateway, upstream = wire
    got: list[bytes] = []

    async def keep(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await body_of(head, reader))
        writer.write(OK)

    target = upstream.on(keep)
    reader, writer = await lane(gateway)
    head = f"POST {target} HTTP/1.1\r\nHost: api.openai.com\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    writer.write(head + chunk(b"abc") + chunk(b"def") + b"0\r\n\r\n")
    await read_answer(reader)
    assert got == [b"abcdef"]
    writer.close()


async def test_100_continue_is_answered_before_the_body_is_sent(wire: Wire) -> None:
    gateway, upstream = wire
    target = upstream.on(answer_ok)
    reader, writer = await lane(gateway)
    request = post(target, JSON, b"Expect: 100-continue")
    cut = request.index(b"\r\n\r\n") + 4
    writer.write(request[:cut])
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 100")
    writer.write(request[cut:])
    assert (await read_answer(reader))[1] == b"{}"
    writer.close()


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")]
)
async def test_answers_without_a_body_leave_the_connection_usable(wire: Wire, method: str, status: bytes) -> None:
    gateway, upstream = wire

    async def bodiless(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = b"content-length: 7\r\n" if method == "HEAD" else b""
        writer.write(b"HTTP/1.1 %b\r\n%bx-a: b\r\n\r\n" % (status, length))

    target = upstream.on(bodiless)
    reader, writer = await lane(gateway)
    for _ in range(2):
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: api.openai.com\r\n\r\n".encode())
        head, _ = await read_answer(reader, to_head=True)
        assert status in head
        assert b"x-a: b" in head
        assert (b"content-length: 7" in head) == (method == "HEAD")
    writer.close()


async def test_a_body_that_ends_with_its_connection_arrives_whole(wire: Wire) -> None:
    gateway, upstream = wire

    async def until_close(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nall ")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"of it")
        await writer.drain()
        writer.close()

    target = upstream.on(until_close)
    reader, writer = await lane(gateway)
    writer.write(post(target))
    assert (await read_answer(reader))[1] == b"all of it"
    writer.close()


async def test_a_reset_is_no_end_of_a_body_without_length(wire: Wire) -> None:
    gateway, upstream = wire

    async def cut(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    target = upstream.on(cut)
    reader, writer = await lane(gateway)
    writer.write(post(target))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await read_answer(reader)
    writer.close()


async def test_an_http_1_0_client_gets_its_answer_without_chunks_and_then_the_end(wire: Wire) -> None:
    gateway, upstream = wire

    async def chunks(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"one ") + chunk(b"two") + b"0\r\n\r\n"
        )

    target = upstream.on(chunks)
    reader, writer = await lane(gateway)
    writer.write(post(target, version=b"1.0"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert await asyncio.wait_for(reader.read(), 5) == b"one two"
    writer.close()


async def test_a_broken_answer_to_an_http_1_0_client_ends_with_a_reset(wire: Wire) -> None:
    gateway, upstream = wire

    async def cut(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"one"))
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    target = upstream.on(cut)
    reader, writer = await plain(gateway)
    writer.write(post("/openai" + target, version=b"1.0").replace(b"Host: api.openai.com", b"Host: 127.0.0.1"))
    await reader.readuntil(b"\r\n\r\n")
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_truncated_body_is_cut_without_a_proper_end(wire: Wire, framing: str) -> None:
    gateway, upstream = wire

    async def cut(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        if framing == "length":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 50_000)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 50_000))
        await writer.drain()
        writer.close()

    target = upstream.on(cut)
    reader, writer = await lane(gateway)
    writer.write(post(target))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await read_answer(reader)
    writer.close()


async def test_a_small_truncated_answer_becomes_a_clear_502(wire: Wire) -> None:
    gateway, upstream = wire

    async def cut(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{"id":"c"')
        await writer.drain()
        writer.close()

    target = upstream.on(cut)
    reader, writer = await lane(gateway)
    writer.write(post(target))
    head, body = await read_answer(reader)
    assert b"HTTP/1.1 502" in head
    assert b"service.stream_truncated" in body
    writer.close()


async def test_a_reader_that_stalls_slows_the_provider_down(wire: Wire) -> None:
    gateway, upstream = wire
    sent = 0

    async def flood(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await body_of(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        block = chunk(b"x" * 65_536)
        for _ in range(1600):  # 100 MB
            writer.write(block)
            await writer.drain()
            sent += len(block)

    target = upstream.on(flood)
    _, writer = await lane(gateway)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(post(target))
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.3)
    assert 0 < sent < 24_000_000, "socket buffers on four ends, and no more"
    writer.transport.abort()


async def test_an_upload_waits_for_a_provider_that_does_not_read(wire: Wire) -> None:
    gateway, upstream = wire
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def lazy(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(release.wait(), loop))
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        digest = hashlib.sha256()
        while size:
            part = await reader.read(min(size, 1 << 20))
            digest.update(part)
            size -= len(part)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n" + digest.hexdigest().encode())

    target = upstream.on(lazy)
    reader, writer = await lane(gateway)
    block, blocks = bytes(range(256)) * 4096, 200  # 210 MB
    writer.write(post(target, b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (len(block) * blocks)))
    given = 0
    with contextlib.suppress(TimeoutError):
        while given < blocks:
            writer.write(block)
            given += 1
            await asyncio.wait_for(writer.drain(), 1.5)
    assert given < 100, "the system's socket buffers, which grow to 37 MB on each of two ways, and no more"
    release.set()
    for _ in range(blocks - given):
        writer.write(block)
        await writer.drain()
    assert (await read_answer(reader))[1] == hashlib.sha256(block * blocks).hexdigest().encode()
    writer.close()


@pytest.mark.parametrize("when", ["before the head", "in the stream"])
async def test_a_hang_up_closes_the_upstream_within_200_ms(wire: Wire, when: str) -> None:
    gateway, upstream = wire
    loop = asyncio.get_running_loop()
    asked, closed = asyncio.Event(), asyncio.Event()

    async def watch(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        if when == "in the stream":
            writer.write(EVENTS + chunk(event("one")))
        loop.call_soon_threadsafe(asked.set)
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
        loop.call_soon_threadsafe(closed.set)
        writer.close()

    target = upstream.on(watch)
    reader, writer = await lane(gateway)
    client = "{}:{}".format(*writer.get_extra_info("sockname"))
    writer.write(post(target))
    await asyncio.wait_for(asked.wait(), 5)
    if when == "in the stream":
        await reader.readuntil(b"one")
    writer.transport.abort()
    began = loop.time()
    await asyncio.wait_for(closed.wait(), 5)
    assert loop.time() - began < 0.2
    row = await asyncio.to_thread(
        gateway.until,
        lambda: next((r for r in gateway.flows(cause="client.disconnected") if r["client"] == client), None),
    )
    assert row["state"] == "done"


async def test_early_bytes_behind_the_connect_head_belong_to_the_handshake(wire: Wire) -> None:
    """A client may send its ClientHello before our answer to CONNECT."""
    import ssl

    gateway, upstream = wire
    target = upstream.on(answer_ok)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=str(gateway.ca)).wrap_bio(
        incoming, outgoing, server_hostname="api.openai.com"
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    reader, writer = await plain(gateway)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n" + outgoing.read())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await asyncio.wait_for(reader.read(65_536), 5))
    tls.write(post(target))
    writer.write(outgoing.read())
    answer = b""
    while not answer.endswith(b"{}"):
        with contextlib.suppress(ssl.SSLWantReadError):
            answer += tls.read(65_536)
            continue
        incoming.write(await asyncio.wait_for(reader.read(65_536), 5))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    writer.close()


@pytest.mark.parametrize("size", [1_000, 300_000])
async def test_a_request_in_the_same_flight_as_the_end_of_the_handshake_arrives_whole(wire: Wire, size: int) -> None:
    """It may reach the lane before ``start_tls`` has returned."""
    import ssl

    gateway, upstream = wire
    got: list[bytes] = []

    async def keep(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await body_of(head, reader))
        writer.write(OK)

    target, body = upstream.on(keep), bytes(range(256)) * (size // 256)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=str(gateway.ca)).wrap_bio(
        incoming, outgoing, server_hostname="api.openai.com"
    )
    reader, writer = await plain(gateway)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await asyncio.wait_for(reader.read(65_536), 5))
    tls.write(post(target, body))
    writer.write(outgoing.read())  # the client's Finished and the whole request at once
    answer = b""
    while not answer.endswith(b"{}"):
        with contextlib.suppress(ssl.SSLWantReadError):
            answer += tls.read(65_536)
            continue
        piece = await asyncio.wait_for(reader.read(65_536), 5)
        assert piece
        incoming.write(piece)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert got == [body]


GARBAGE = {
    "no HTTP at all": b"\x00\x01\x02\x03 hello\r\n\r\n",
    "HTTP/0.9": b"GET /openai/v1/models\r\n\r\n",
    "two lengths": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
    "length and chunks": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc",
    "signed length": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nabc",
    "space before the colon": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n\r\nabc",
    "bare LF": b"POST /openai/v1/x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc",
    "bare CR in a value": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nX-A: a\rEvil: 1\r\nContent-Length: 3\r\n\r\nabc",
    "NUL in a value": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    "folded header": b"POST /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\n b: c\r\nContent-Length: 3\r\n\r\nabc",
    "two hosts": b"GET /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n",
    "no host": b"GET /openai/v1/x HTTP/1.1\r\n\r\n",
    "control character in the path": b"GET /openai/v1/a\x01b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "101 header fields": b"GET /openai/v1/x HTTP/1.1\r\nHost: localhost\r\n"
    + b"".join(b"x-%d: y\r\n" % n for n in range(101))
    + b"\r\n",
    "head over 64 KiB": b"GET /openai/v1/x HTTP/1.1\r\nHost: localhost\r\nx-a: " + b"y" * 70_000 + b"\r\n\r\n",
    "broken CONNECT": b"CONNECT api.openai.com HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_what_is_not_valid_http_gets_400_and_a_row_and_nothing_is_sent_on(wire: Wire, name: str) -> None:
    gateway, upstream = wire
    before = upstream.connections
    reader, writer = await plain(gateway)
    host, port = writer.get_extra_info("sockname")[:2]
    writer.write(GARBAGE[name])
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 400")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert upstream.connections == before
    row = await asyncio.to_thread(
        gateway.until, lambda: next((r for r in gateway.flows() if r["client"] == f"{host}:{port}"), None)
    )
    assert row["cause"] == "client.malformed_request"
    writer.close()


@pytest.mark.parametrize(
    "body",
    [b"3;\nx\r\nabc\r\n0\r\n\r\n", b"-1\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcXX0\r\n\r\n"],
)
async def test_broken_chunks_end_the_connection_without_a_call(wire: Wire, body: bytes) -> None:
    gateway, upstream = wire
    asked = []

    async def note(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(head)

    target = upstream.on(note)
    reader, writer = await lane(gateway)
    head = f"POST {target} HTTP/1.1\r\nHost: api.openai.com\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    writer.write(head + body)
    data = await asyncio.wait_for(reader.read(), 5)
    assert data == b"" or data.startswith(b"HTTP/1.1 400")
    assert asked == []
    writer.close()


@pytest.mark.parametrize(
    ("first", "name"), [(b"\x16\x03\x01\x02\x00", "TLS"), (b"\x05\x01\x00", "SOCKS5"), (b"\x04\x01\x00P", "SOCKS4")]
)
async def test_a_client_of_another_protocol_is_named_in_a_row(wire: Wire, first: bytes, name: str) -> None:
    gateway, _ = wire
    reader, writer = await plain(gateway)
    host, port = writer.get_extra_info("sockname")[:2]
    writer.write(first)
    await asyncio.wait_for(reader.read(), 5)
    row = await asyncio.to_thread(
        gateway.until, lambda: next((r for r in gateway.flows() if r["client"] == f"{host}:{port}"), None)
    )
    assert row["cause"] == "client.proxy_unsupported_scheme"
    assert name in row["diagnosis"]["what_happened"]
    writer.close()


async def test_bytes_are_the_same_on_both_sides(wire: Wire) -> None:
    gateway, upstream = wire
    seen: dict[str, bytes] = {}
    packed = gzip.compress(b'{"a": 1}' * 100)

    async def keep(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen["head"], seen["body"] = head, await body_of(head, reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nX-One: 1\r\n"
            b"X-Latin: caf\xe9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(packed)
            + packed
        )

    target = upstream.on(keep) + "&q=%7e/a%2Fb?%00x=\u00e9&&"
    body = bytes(range(256)) * 17
    reader, writer = await lane(gateway)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: api.openai.com\r\nX-B: 2\r\nX-A: caf\xe9 \xf0\x9f\x8e\x89\r\nX-B: 1\r\n"
        b"Accept-Encoding: br\r\nX-Stainless-Lang: python\r\nContent-Length: %d\r\nX-Last: z\r\n\r\n%b"
        % (target.encode(), len(body), body)
    )
    head, got = await read_answer(reader)
    assert seen["body"] == body
    lines = seen["head"].split(b"\r\n")
    assert lines[0] == b"POST " + target.encode() + b" HTTP/1.1"
    assert lines[2:9] == [
        b"x-b: 2",
        b"x-a: caf\xe9 \xf0\x9f\x8e\x89",
        b"x-b: 1",
        b"accept-encoding: br",
        b"x-stainless-lang: python",
        b"content-length: %d" % len(body),
        b"x-last: z",
    ]
    assert got == packed
    assert b"x-latin: caf\xe9\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-encoding: gzip\r\n" in head
    writer.close()


async def test_events_survive_one_byte_at_a_time_and_two_megabytes_at_once(wire: Wire) -> None:
    gateway, upstream = wire
    small = b"".join(
        (event("a"), b": comment\n\n", b"data: x\r\n\r\n", "data: h\u00e9\n\n".encode(), b"data: [DONE]\n\n")
    )
    large = event("y" * 2_000_000) + b"data: [DONE]\n\n"

    async def drip(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await body_of(head, reader)
        writer.write(EVENTS)
        if body == b"small":
            for position in range(len(small)):
                writer.write(chunk(small[position : position + 1]))
                await writer.drain()
        else:
            writer.write(chunk(large))
        writer.write(b"0\r\n\r\n")

    target = upstream.on(drip)
    reader, writer = await lane(gateway)
    for name, wanted in ((b"small", small), (b"large", large)):
        writer.write(post(target, name))
        assert (await read_answer(reader))[1] == wanted
    writer.close()


async def test_a_redirect_is_passed_on_and_not_followed(wire: Wire) -> None:
    gateway, upstream = wire

    async def away(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: https://elsewhere.invalid/\r\ncontent-length: 0\r\n\r\n"
        )

    target = upstream.on(away)
    reader, writer = await lane(gateway)
    writer.write(post(target))
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 307")
    assert b"location: https://elsewhere.invalid/" in head
    writer.close()


async def test_hop_by_hop_headers_stay_on_their_hop(wire: Wire) -> None:
    gateway, upstream = wire
    seen: list[bytes] = []

    async def keep(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        await body_of(head, reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: keep-alive, x-private\r\nx-private: 1\r\nx-whygate-cause: forged\r\ncontent-length: 2\r\n\r\n{}"
        )

    target = upstream.on(keep)
    reader, writer = await lane(gateway)
    writer.write(
        post(
            target,
            JSON,
            b"Connection: keep-alive, X-Mine",
            b"X-Mine: 1",
            b"Proxy-Authorization: Basic eA==",
            b"TE: trailers",
            b"X-Whygate-Cache: no-cache",
        )
    )
    head, _ = await read_answer(reader)
    sent = seen[0].lower()
    for name in (b"x-mine", b"proxy-authorization", b"te:", b"x-whygate-cache", b"connection:"):
        assert name not in sent
    assert b"x-private" not in head
    assert b"forged" not in head
    writer.close()


async def test_a_websocket_upgrade_is_handed_over_and_relayed(wire: Wire) -> None:
    gateway, upstream = wire

    async def switch(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import base64

        key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
        original = head.split(b"\r\n")
        key = next(line.split(b": ", 1)[1] for line in original if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: "
            + accept
            + b"\r\n\r\n"
        )
        frame = await reader.readexactly(2 + 4 + 5)
        text = bytes(b ^ frame[2 + i % 4] for i, b in enumerate(frame[6:]))
        writer.write(b"\x81\x05" + text.upper() + b"\x88\x02\x03\xe8")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    target = upstream.on(switch)
    reader, writer = await lane(gateway)
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: api.openai.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 101")
    mask = b"\x01\x02\x03\x04"
    writer.write(b"\x81\x85" + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(b"hello")))
    assert await asyncio.wait_for(reader.readexactly(7), 5) == b"\x81\x05HELLO"
    await asyncio.wait_for(reader.readexactly(4), 5)
    writer.write(b"\x88\x82" + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(b"\x03\xe8")))
    writer.close()
    row = await asyncio.to_thread(gateway.until, lambda: next(iter(gateway.flows(kind="websocket")), None))
    assert (row["status"], row["cause"]) == (101, None)


H2C = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\nUpgrade: h2c\r\n"


async def test_a_request_that_offers_another_protocol_is_answered_in_this_one(wire: Wire) -> None:
    """Java's HttpClient offers h2c on every plain call; the body stands behind that head all the same."""
    gateway, upstream = wire

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"upgrade" not in head.lower()
        assert b"http2-settings" not in head.lower()
        body = await reader.readexactly(5) if head.startswith(b"POST") else b"none"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    target = f"/openai{upstream.on(answer)}"
    reader, writer = await plain(gateway)
    post = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n{H2C}\r\n".encode()
    get = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{H2C}\r\n".encode()
    for request, body in ((post + b"hello", b"hello"), (get, b"none"), (post + b"again" + get, b"again")):
        writer.write(request)
        head, got = await read_answer(reader)
        assert (head[:15], got) == (b"HTTP/1.1 200 OK", body)
    assert (await read_answer(reader))[1] == b"none"  # the one that was sent behind the last
    writer.write(post)
    await writer.drain()
    writer.write(b"later")
    assert (await read_answer(reader))[1] == b"later"
    chunked = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{H2C}\r\n".encode()
    writer.write(chunked + b"5\r\npiece\r\n0\r\n\r\n")
    assert (await read_answer(reader))[1] == b"piece"
    writer.write(get * 400)
    for _ in range(400):
        assert (await read_answer(reader))[1] == b"none"


async def test_a_client_that_does_not_trust_the_ca_gets_a_row_with_the_verdict(wire: Wire) -> None:
    import ssl

    gateway, _ = wire
    reader, writer = await plain(gateway)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        await writer.start_tls(ssl.create_default_context(), server_hostname="api.openai.com")
    rows = await asyncio.to_thread(lambda: gateway.until(lambda: gateway.flows(cause="client.ca_not_trusted")))
    assert rows[0]["host"] == "api.openai.com"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 600 Odd\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nx-a: a\x01b\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nx a: b\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
        b"no HTTP at all\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_http_becomes_a_clear_502(wire: Wire, answer: bytes) -> None:
    gateway, upstream = wire

    async def odd(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(head, reader)
        writer.write(answer)
        await writer.drain()
        writer.close()

    target = upstream.on(odd)
    reader, writer = await lane(gateway)
    writer.write(post(target))
    head, body = await read_answer(reader)
    assert b"HTTP/1.1 502" in head, head
    assert b"service.protocol_error" in body
    writer.close()
