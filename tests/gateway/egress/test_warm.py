"""One idle connection to each wanted provider, whatever becomes of it; a provider that is down is asked ever less."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from gateway.egress import warm
from gateway.egress.connector import Pool
from gateway.egress.network import Ways, parse_via
from gateway.egress.send import AiohttpUpstream
from gateway.egress.timeline import Timeline
from gateway.egress.warm import Dialing, Target, keep_warm
from gateway.model.call import Origin
from gateway.model.failure import Phase
from tests.gateway.driver import until
from tests.gateway.egress.wire import OK, a_request, client, forever, provider

AUTHORITY = trustme.CA()


@asynccontextmanager
async def _keeping(dialer: Dialing, *targets: Target) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.ensure_future(keep_warm(dialer, targets))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "LOOK_SECONDS", 0.02)


async def _ask(upstream: AiohttpUpstream, target: Target) -> None:
    incoming = await upstream.open(a_request(target.origin, ca_file=target.ca_file), Timeline())
    await incoming.all(100)
    incoming.abort()


async def test_a_connection_is_open_ahead_and_another_when_it_was_taken_or_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    async with provider(forever(OK), context, host="localhost") as wire, client() as upstream:
        target = Target("openai", wire.origin, str(tmp_path / "ca.pem"))
        dialer = upstream._dialer
        async with _keeping(dialer, target):
            await until(lambda: dialer.pool() == Pool(0, 1))
            timeline = Timeline()
            taken = await upstream.open(a_request(wire.origin, ca_file=target.ca_file), timeline)
            assert [mark.phase for mark in timeline.marks(ok=True)] == [Phase.SEND, Phase.FIRST_BYTE], "it was there"
            await until(lambda: dialer.pool() == Pool(1, 1))
            taken.abort()
            await until(lambda: len(wire.connections) == 2)
            monkeypatch.setattr(warm, "LASTING_SECONDS", 0.0)
            wire.connections[1].writer.transport.abort()
            await until(lambda: len(wire.connections) == 3 and dialer.pool() == Pool(0, 1))
            assert wire.requests == [wire.requests[0]], "nothing is sent ahead but TLS"
        assert dialer.pool() == Pool(0, 1)
    await until(lambda: all(connection.writer.is_closing() for connection in wire.connections))


async def test_it_takes_the_way_that_calls_take() -> None:
    async def socks(connection: object) -> None:
        await connection.reader.readexactly(3)  # type: ignore[attr-defined]
        await connection.say(b"\x05\x00")  # type: ignore[attr-defined]
        await connection.reader.readexactly(20)  # type: ignore[attr-defined]
        await connection.say(b"\x05\x00\x00\x01" + b"\0" * 6)  # type: ignore[attr-defined]
        await forever(OK)(connection)  # type: ignore[arg-type]

    async with provider(socks) as proxy:
        via = parse_via(f"socks5h://127.0.0.1:{proxy.origin.port}")
        async with client(ways=Ways(http=via)) as upstream:
            target = Target("openai", Origin("http", "provider.test", 80), None)
            async with _keeping(upstream._dialer, target):
                await until(lambda: upstream.pool() == Pool(0, 1))
                await _ask(upstream, target)
            assert len(proxy.requests) == 1


class Pauses:
    """Time that passes as fast as it is slept, until so much of it has."""

    def __init__(self, stop_after: int) -> None:
        self.slept: list[float] = []
        self.seconds = 0.0
        self._left = stop_after

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        self._left -= 1
        await asyncio.sleep(0)
        if self._left < 0:
            raise asyncio.CancelledError


class Doubtful:
    """Opens connections by script: an exception is raised; a number is how long one lasts before its server ends it."""

    def __init__(self, script: list[Exception | float], pauses: Pauses) -> None:
        self._script, self._pauses = script, pauses
        self._until = -1.0
        self.opened = 0

    def has_idle(self, _origin: Origin, _ca_file: str | None) -> bool:
        return self._pauses.seconds < self._until

    async def warm(self, _origin: Origin, _ca_file: str | None) -> asyncio.BaseTransport:
        self.opened += 1
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, Exception):
            raise step
        self._until = self._pauses.seconds + step

        class Ended(asyncio.BaseTransport):
            def is_closing(self) -> bool:
                return True

        return Ended()


async def _pauses_of(*script: Exception | float, turns: int) -> list[float]:
    pauses = Pauses(turns)
    dialer = Doubtful(list(script), pauses)
    target = Target("openai", Origin("https", "x", 1), None)
    with suppress(asyncio.CancelledError):
        await keep_warm(dialer, [target], sleep=pauses, clock=lambda: pauses.seconds)
    return [seconds for seconds in pauses.slept if seconds != warm.LOOK_SECONDS][:turns]


async def test_a_provider_that_cannot_be_reached_is_tried_ever_more_slowly_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        pauses = await _pauses_of(ConnectionRefusedError(111, "refused"), turns=9)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    told = [record.getMessage() for record in caplog.records]
    assert told == ["whygate: no connection could be opened ahead to openai: [Errno 111] refused; it is tried again."]


async def test_a_bug_ends_nothing() -> None:
    assert (await _pauses_of(RuntimeError("a bug"), turns=3))[:3] == [1, 2, 4]


async def test_a_server_that_closes_what_is_not_used_is_not_asked_twice_a_second() -> None:
    pauses = await _pauses_of(0.1, turns=100)
    assert pauses[:6] == [1, 2, 4, 8, 16, 32]


async def test_after_a_connection_that_lasted_the_pauses_begin_anew() -> None:
    down = ConnectionRefusedError(111, "refused")
    assert (await _pauses_of(down, down, 50.0, down, turns=3_000))[:4] == [1, 2, 1, 2]


@contextmanager
def _nobody() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_one_that_is_down_holds_up_no_other_and_both_end_when_told() -> None:
    with _nobody() as port:
        async with provider(forever(OK)) as wire, client() as upstream:
            targets = Target("down", Origin("http", "127.0.0.1", port), None), Target("up", wire.origin, None)
            async with _keeping(upstream._dialer, *targets) as task:
                await until(lambda: upstream.pool() == Pool(0, 1))
                assert not task.done()
            assert task.cancelled()
