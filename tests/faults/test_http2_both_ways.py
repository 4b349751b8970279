"""F24 to F26: providers are asked in HTTP/1.1 and nothing else; a client that abuses HTTP/2 harms nobody but itself."""

import asyncio
import contextlib
from collections.abc import Callable

import h2.config
import h2.connection
import h2.errors
import h2.settings
import hyperframe.frame
import pytest

from tests.e2e.world import Memory, steady
from tests.faults.field import Case, server_context
from tests.faults.inject.answer import answer
from tests.faults.inject.listener import Listener
from tests.faults.inject.speaks_h2 import refuses_alpn, speaks_h2, speaks_h2_first
from tests.faults.ledgers import Flow
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES, refused
from tests.faults.upstream import Exchange, Row
from tests.running import lane

CHOSEN: list[str | None] = []
STREAMS, FRAMES = 20, 500
FLOOD = 10
"""A flood is so many times as much, at once. It may hold up others for a moment, which one turn of a loop takes."""

GROWTH_MIB = 64

# F24, F25


async def _note_protocol(exchange: Exchange) -> None:
    CHOSEN.append(exchange.writer.get_extra_info("ssl_object").selected_alpn_protocol())
    await answer()(exchange)


async def test_a_provider_that_offers_both_is_asked_in_http_1_1(case: Case) -> None:
    case.field.upstream._tls.set_alpn_protocols(["h2", "http/1.1"])
    CHOSEN.clear()
    url = case.field.https_url(case.field.upstream.tls_port)
    call = await case.sdk(case.plan(_note_protocol), base_url=url)
    assert (call.outcome, call.text) == ("answer", "words")
    assert CHOSEN == ["http/1.1"]
    assert len(case.flow(call)["attempts"]) == 1


@pytest.mark.parametrize("way", ["tls", "plain"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_answers_in_http_2_is_told_as_such_after_one_attempt(
    case: Case, way: str, stream: bool
) -> None:
    url = case.field.https_url(case.field.upstream.tls_port) if way == "tls" else None
    call = await case.sdk(case.plan(speaks_h2), base_url=url, stream=stream)
    flow = case.flow(call)
    assert (call.outcome, call.status, call.cause, call.requests) == ("error", 502, "service.protocol_error", 1)
    assert (flow["cause"], len(flow["attempts"])) == ("service.protocol_error", 1)
    assert flow["total_ms"] < SLACK_SECONDS * 1000


async def test_a_provider_that_speaks_http_2_before_it_was_asked_is_told_as_such(case: Case) -> None:
    with speaks_h2_first(server_context(case.field.authority, "localhost")) as listener:
        call = await case.sdk(case.plan(), base_url=case.field.https_url(listener.port))
    flow = case.flow(call)
    assert (call.outcome, call.status, call.cause) == ("error", 502, "service.protocol_error")
    assert flow["total_ms"] < (BACKOFF_SECONDS + SLACK_SECONDS) * 1000
    assert len(flow["attempts"]) == listener.dials == 1
    if flow["attempts"][0]["failure"]["sent"]:  # what a listener gets is not in the upstream's ledger by itself
        row = Row(call.mark, 1, 0, "POST", "/v1/chat/completions", has_credential=True, whole=True, ended="closed")
        case.field.upstream.rows.append(row)


async def test_a_provider_that_refuses_anything_but_http_2_in_its_handshake_is_asked_once(case: Case) -> None:
    _, flow = await _refused_in_handshake(case)
    assert len(flow["attempts"]) == 1


async def test_a_provider_that_refuses_anything_but_http_2_in_its_handshake_is_told_as_such(case: Case) -> None:
    listener, flow = await _refused_in_handshake(case)
    assert flow["total_ms"] < (BACKOFF_SECONDS + SLACK_SECONDS) * 1000
    assert {first[:1] for first in listener.received} == {b"\x16"}
    assert all(b"http/1.1" in first for first in listener.received)
    assert len(flow["attempts"]) == listener.dials <= TRIES


async def _refused_in_handshake(case: Case) -> tuple[Listener, Flow]:
    with refuses_alpn() as listener:
        call = await case.sdk(case.plan(), base_url=case.field.https_url(listener.port))
    return listener, refused(case, call, "network.tls_handshake", "tls_refused")


# F26


class Flood:
    """A client of HTTP/2 alone, on the lane."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))

    async def run(self, frames: "Frames", times: int, seconds: float = 15.0) -> bool:
        """Send what ``frames`` makes, read until we are cut off or have said good-bye; say whether we were cut off."""
        gateway = self._case.field.gateway
        reader, writer = await lane(gateway, alpn=("h2",))
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        self.connection.initiate_connection()
        frames(self, times)
        cut = True
        with contextlib.suppress(OSError):
            async with asyncio.timeout(seconds):
                writer.write(self.connection.data_to_send())
                await writer.drain()
                writer.write(hyperframe.frame.PingFrame(0, b"the last").serialize())
                while data := await reader.read(65_536):
                    if b"the last" in data:
                        cut = False
                        break
        writer.transport.abort()
        return cut


def _rapid_reset(flood: Flood, times: int) -> None:
    """Ask for the root as nobody: with that, calls that are given up at once cannot be mistaken for anybody's."""
    asked = [(":method", "GET"), (":scheme", "https"), (":authority", "api.openai.com"), (":path", "/")]
    for _ in range(STREAMS * times):
        number = flood.connection.get_next_available_stream_id()
        flood.connection.send_headers(number, asked, end_stream=True)
        flood.connection.reset_stream(number, h2.errors.ErrorCodes.CANCEL)


def _settings(flood: Flood, times: int) -> None:
    for number in range(FRAMES * times):
        flood.connection.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100 + number % 2})


def _pings(flood: Flood, times: int) -> None:
    for number in range(FRAMES * times):
        flood.connection.ping(number.to_bytes(8))


FLOODS = [_rapid_reset, _settings, _pings]
Frames = Callable[[Flood, int], None]


@pytest.mark.parametrize("frames", FLOODS)
async def test_a_burst_of_http_2_hurts_nobody_else_and_leaves_nothing_behind(case: Case, frames: Frames) -> None:
    with case.bystander():
        await _flooded(case, frames, 1)


@pytest.mark.parametrize("frames", FLOODS)
async def test_a_flood_of_http_2_leaves_nothing_behind(case: Case, frames: Frames) -> None:
    await _flooded(case, frames, FLOOD)


async def _flooded(case: Case, frames: Frames, times: int) -> None:
    flood = Flood(case)
    with Memory(case.field.gateway.process.pid) as memory:
        cut = await flood.run(frames, times)
    assert memory.growth < GROWTH_MIB

    def rows() -> list[Flow]:
        return [flow for flow in case.field.flows_after(case.newest_before) if flow["path"] == "/"]

    def received() -> list[Row]:
        return [row for row in case.field.upstream.rows_since(case.received_before) if row.target == "/"]

    await asyncio.to_thread(steady, lambda: [flow["state"] for flow in rows()], 1.0, 20.0)
    await asyncio.to_thread(case.field.gateway.until, lambda: len(rows()) >= len(received()), 10.0)
    flows, asked = rows(), received()
    case.acknowledged |= {flow["id"] for flow in flows}
    assert {flow["state"] for flow in flows} <= {"done"}
    assert len(asked) <= len(flows) <= STREAMS * times
    print(
        f"\n{frames.__name__} x {times}: {'cut off' if cut else 'borne'}, memory grew by {memory.growth:.1f} MiB,"
        f" {len(flows)} rows, {len(asked)} requests at the provider"
    )
