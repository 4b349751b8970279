"""F16, F17: the app's side of TLS. It does not trust us, pins somebody else's certificate, or speaks no TLS at all."""

import asyncio
import contextlib
import functools
import itertools
import socket
import ssl
from typing import Literal

import pytest

from tests.faults.field import Case
from tests.faults.ledgers import Flow
from tests.faults.never_sent import AT_ONCE_SECONDS
from tests.running import lane, plain

FLOOD = 60
Refusal = Literal["unknown_ca", "pinned", "silent close", "reset", "half a hello"]

_hosts = itertools.count(1)


@functools.cache
def system_trust() -> ssl.SSLContext:
    """Give what an app trusts that was told nothing."""
    return ssl.create_default_context()


def own_host() -> str:
    """Give a provider's host that no other case calls."""
    return f"f16-{next(_hosts)}.openai.azure.com"


async def tunnel(case: Case, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await plain(case.field.gateway)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return reader, writer


async def refuse(case: Case, host: str, how: Refusal) -> None:
    """Begin as an app that was not told of our certificate authority, and end as it ends."""
    reader, writer = await tunnel(case, host)
    if how in {"unknown_ca", "pinned"}:
        context = system_trust()
        if how == "pinned":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            case.field.authority.configure_trust(context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await writer.start_tls(context, server_hostname=host)
        return
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = system_trust().wrap_bio(incoming, outgoing, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    hello = outgoing.read()
    writer.write(hello[: len(hello) // 2] if how == "half a hello" else hello)
    if how != "half a hello":
        await asyncio.wait_for(reader.read(1), 5)  # it has seen our certificate, or the start of it
    if how == "reset":
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    await gone(writer)


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def rows(case: Case, host: str, kind: str = "tunnel") -> list[Flow]:
    """Wait until a host has a row, and give all of its."""
    return case.field.gateway.until(lambda: [row for row in _newer(case) if (row["host"], row["kind"]) == (host, kind)])


def _newer(case: Case) -> list[Flow]:
    return case.field.flows_after(case.newest_before)


def one_verdict(case: Case, host: str) -> Flow:
    """See that there is one row with the verdict and the fix; give it."""
    (row,) = rows(case, host)
    case.acknowledged.add(row["id"])
    assert (row["state"], row["cause"], row["status"]) == ("done", "client.ca_not_trusted", None)
    assert row["fault"] == "caller"
    assert any("whygate run" in step for step in row["diagnosis"]["what_to_do"])
    return row


# F16


@pytest.mark.parametrize("how", ["unknown_ca", "pinned", "silent close", "reset", "half a hello"])
async def test_an_app_that_does_not_trust_us_has_one_verdict_with_the_fix(case: Case, how: Refusal) -> None:
    host = own_host()
    await refuse(case, host, how)
    one_verdict(case, host)
    assert case.field.upstream.rows_since(case.received_before) == []


async def test_an_app_that_tries_again_and_again_does_not_flood_the_log(case: Case) -> None:
    """Each host has a verdict of its own, and somebody else is not held up."""
    hosts = [own_host(), own_host()]
    with case.bystander():
        for _ in range(FLOOD // 10):
            await asyncio.gather(*(refuse(case, host, "unknown_ca") for host in hosts * 5))
    for host in hosts:
        one_verdict(case, host)


async def test_an_app_that_does_not_trust_us_harms_nobody_who_does(case: Case) -> None:
    await refuse(case, "api.openai.com", "unknown_ca")
    call = await case.sdk(case.plan())
    assert call.outcome == "answer"
    case.acknowledged |= {row["id"] for row in _newer(case) if row["kind"] == "tunnel"}  # none if told a moment ago


# F17


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 4_096,
        b"\x16\x03\x01\xff\xff" + b"\xff" * 70_000,
        b"\x16\x03\x01\x00\x05hello",
        b"\x15\x03\x01\x00\x02\x02\x28",
    ],
    ids=["SSH", "HTTP in plain", "HTTP/2 in plain", "zeros", "a hello over all size", "a hello that is none",
         "an alert"],
)  # fmt: skip
async def test_bytes_that_are_no_tls_end_the_tunnel_and_nothing_else(case: Case, said: bytes) -> None:
    host = own_host()
    with case.bystander():
        reader, writer = await tunnel(case, host)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert len(await asyncio.wait_for(reader.read(), AT_ONCE_SECONDS)) <= 64, "an alert at most"
    (row,) = rows(case, host)
    case.acknowledged.add(row["id"])
    assert (row["state"], row["status"]) == ("done", None)
    assert row["cause"] in {"client.malformed_request", "client.ca_not_trusted"}
    assert case.field.gateway.process.poll() is None
    assert case.field.upstream.rows_since(case.received_before)[0].mark == case.clients.rows[0].mark


async def test_junk_inside_tls_is_answered_as_no_request_and_closed(case: Case) -> None:
    reader, writer = await lane(case.field.gateway)
    writer.write(b"\x00\x01\x02 nothing that HTTP knows\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
    (row,) = rows(case, "api.openai.com", "api")
    case.acknowledged.add(row["id"])
    assert (row["status"], row["cause"]) == (400, "client.malformed_request")


async def test_an_app_that_says_nothing_at_all_after_connect_holds_one_connection_and_leaves_none(case: Case) -> None:
    before = case.field.watch.baseline.connections
    opened = [await tunnel(case, own_host()) for _ in range(20)]
    for _, writer in opened:
        await gone(writer)
    case.field.gateway.until(lambda: case.field.watch.look().connections <= before)
    assert _newer(case) == []
