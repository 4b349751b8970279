"""How far one gets to each domain of ChatGPT: look-up, connection, handshake; where that ends early, a control.

All names at once: together they take as long as the slowest. The parts have time limits of their own, so that what was
seen before a limit stays.
"""

import asyncio
import importlib
import socket
import time
from contextlib import suppress
from dataclasses import replace

from gateway.doctor.case import Case
from gateway.doctor.chatgpt import Entry
from gateway.doctor.lists import Resolver
from gateway.doctor.lookup import by_https
from gateway.doctor.measured import ChatHosts, Connects, HostSeen, Lookup, Shaken
from gateway.doctor.wire import (
    Connection,
    Served,
    context_of,
    failure_of,
    open_straight,
    open_through,
    served_by,
)
from gateway.egress.lookups import Lookups, Question
from gateway.model.failure import NetCode, NetFailure, Phase

PORT = 443
_CONNECT_SECONDS, _TLS_SECONDS, _CONTROL_SECONDS = 1.5, 1.5, 1.2
_ALL_SECONDS, _SECOND_SECONDS = 6.2, 1.2
_TUNNELS_MAX = 8
"""At a time: a company's proxy may let one machine have only so many."""
_ADDRESSES_MAX, _CONTROLS_MAX, _ALIASES_MAX = 2, 8, 4
_CODES = {socket.EAI_NONAME: "nxdomain", socket.EAI_AGAIN: "servfail"}
_NO_DATA = frozenset(getattr(socket, name) for name in ("EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name))
_MAY_PASS = frozenset({NetCode.CONNECT_TIMEOUT, NetCode.TLS_HANDSHAKE, NetCode.PROXY_UNREACHABLE, NetCode.UNKNOWN})
"""What a busy machine or a lost packet can be as well."""


class Looker:
    """Looks at hosts for one run."""

    def __init__(self, case: Case) -> None:
        """Keep what every look needs."""
        self._case = case
        self._lookups = Lookups()
        self._verifying = context_of(case)
        self._resolver: Resolver | None = None
        self._tunnels = asyncio.Semaphore(_TUNNELS_MAX)

    async def look(self, wanted: tuple[Entry, ...]) -> ChatHosts:
        """Look at all, and then again at those where something was wrong."""
        await _import("cryptography.x509")
        if self._case.via is not None:
            await _import("gateway.egress.dial")
        ends = time.monotonic() + _ALL_SECONDS
        try:
            looked = await asyncio.gather(*(self._in_time(entry, ends - _SECOND_SECONDS) for entry in wanted))
            each = [seen for seen in looked if seen is not None]
            wrong = [number for number, seen in enumerate(each) if not fine(seen)]
            with_control = wrong[:_CONTROLS_MAX] if wrong and await self._may_ask(each[wrong[0]].host) else []
            again = await asyncio.gather(
                *(self._second(each[number], ends, control=number in with_control) for number in wrong)
            )
            for number, seen in zip(wrong, again, strict=True):
                each[number] = seen
        finally:
            self._lookups.close()
        return ChatHosts(each=tuple(each))

    async def _in_time(self, entry: Entry, ends: float) -> HostSeen | None:
        """Look at one; None when there was no time for it, as through a proxy that is slow to make tunnels."""
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                return await self._first(entry)
        except TimeoutError:
            return None

    async def _first(self, entry: Entry) -> HostSeen:
        host = entry.member
        seen = HostSeen(
            host=host, pattern=entry.pattern, need=entry.need, vital=entry.vital, pinned=entry.pinned,
            lookup=Lookup(by="proxy") if self._case.via is not None else await self._system(host),
        )  # fmt: skip
        if self._case.via is None and not seen.lookup.addresses:
            return seen
        connect, shaken = await self._shake(host, seen.lookup.addresses[:_ADDRESSES_MAX])
        return replace(seen, connect=connect, shaken=shaken)

    async def _second(self, seen: HostSeen, ends: float, *, control: bool) -> HostSeen:
        """Try once more what only took too long, and meanwhile ask a public resolver and go to where it leads."""
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                retried, controlled = await asyncio.gather(
                    self._retried(seen), self._controlled(seen) if control else _same(seen)
                )
        except TimeoutError:
            return seen
        return replace(controlled, connect=retried.connect, shaken=retried.shaken)

    async def _retried(self, seen: HostSeen) -> HostSeen:
        failure = seen.shaken.failure if seen.shaken is not None else None
        failure = failure or next(iter(seen.connect.failures if seen.connect is not None else ()), None)
        if failure is None or failure.code not in _MAY_PASS:
            return seen
        connect, shaken = await self._shake(seen.host, seen.lookup.addresses[:1])
        return replace(seen, connect=connect, shaken=shaken) if shaken is not None else seen

    async def _controlled(self, seen: HostSeen) -> HostSeen:
        control = await self._public(seen.host)
        names = control.cnames[:_ALIASES_MAX]
        answers = await asyncio.gather(*(self._system(name) for name in names))
        elsewhere = None
        others = tuple(one for one in control.addresses if one not in seen.lookup.addresses)
        if others:
            _, elsewhere = await self._shake(seen.host, others[:1], by="control")
        return replace(seen, control=control, aliases=tuple(zip(names, answers, strict=True)), elsewhere=elsewhere)

    async def _may_ask(self, host: str) -> bool:
        """Whether a public resolver may be asked, and one answers."""
        return self._case.asked and self._case.via is None and await self._find_resolver(host)

    async def _system(self, host: str) -> Lookup:
        began = asyncio.get_running_loop().time()
        if place := self._case.lists.connect_to.get(f"{host}:{PORT}"):
            return Lookup(by="system", addresses=(place.rpartition(":")[0].strip("[]"),))
        code = detail = ""
        try:
            found = await self._lookups.find(Question(host, PORT, socket.AF_UNSPEC))
        except TimeoutError as error:
            found, code, detail = (), "timeout", str(error)
        except OSError as error:
            code = "nodata" if error.errno in _NO_DATA else _CODES.get(error.errno or 0, "servfail")
            found, detail = (), error.strerror or str(error)
        took = (asyncio.get_running_loop().time() - began) * 1000
        addresses = tuple(one.address for one in found)
        return Lookup(by="system", addresses=addresses, code=code or "ok", detail=detail, took_ms=round(took, 1))

    async def _find_resolver(self, host: str) -> bool:
        """Find a public resolver that answers; one that does is asked for all names."""

        async def ask(resolver: Resolver) -> tuple[Resolver, Lookup]:
            return resolver, await by_https(self._case, resolver, host, self._verifying, _CONTROL_SECONDS)

        asked = [asyncio.ensure_future(ask(one)) for one in self._case.lists.resolvers]
        try:
            for answered in asyncio.as_completed(asked, timeout=_CONTROL_SECONDS):
                resolver, found = await answered
                if found.code in {"ok", "nxdomain", "nodata"}:
                    self._resolver = resolver
                    return True
        except TimeoutError:
            pass
        finally:
            for task in asked:
                task.cancel()
        return False

    async def _public(self, host: str) -> Lookup:
        assert self._resolver is not None
        return await by_https(self._case, self._resolver, host, self._verifying, _CONTROL_SECONDS)

    async def _shake(
        self, host: str, addresses: tuple[str, ...], *, by: str = "system"
    ) -> tuple[Connects | None, Shaken | None]:
        """Connect to the first address that takes it and shake hands there."""
        if self._case.via is not None:
            async with self._tunnels:
                return await self._shake_at(host, ("",), by)
        return await self._shake_at(host, addresses, by)

    async def _shake_at(self, host: str, addresses: tuple[str, ...], by: str) -> tuple[Connects | None, Shaken | None]:
        connects: Connects | None = None
        for address in addresses:
            connects, connection = await self._connect(host, address)
            if connection is None:
                continue
            with connection:
                return connects, await self._secure(host, address, connection, by)
        return connects, None

    async def _connect(self, host: str, address: str) -> tuple[Connects, Connection | None]:
        case = self._case
        mapped = f"{host}:{PORT}" in case.lists.connect_to
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                if case.via is not None:
                    connection = await open_through(case.via, host, PORT)
                else:
                    connection = await open_straight(case, host if mapped else address, PORT)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was measured
            return Connects(
                address=address, port=PORT, failures=(await _failure(error, Phase.CONNECT, _CONNECT_SECONDS),)
            ), None
        return Connects(address=address, port=PORT, connect_ms=(connection.took_ms,)), connection

    async def _secure(self, host: str, address: str, connection: Connection, by: str) -> Shaken:
        by = "proxy" if self._case.via is not None else by
        try:
            async with asyncio.timeout(_TLS_SECONDS):
                await connection.secure(self._verifying, host)
        except Exception as error:  # noqa: BLE001 - as above
            failure = await _failure(error, Phase.TLS, _TLS_SECONDS)
            shaken = Shaken(address=address, name=host, by=by, failure=failure)
            if failure.code not in {NetCode.TLS_CERTIFICATE, NetCode.TLS_UNTRUSTED_ISSUER}:
                return shaken
            return replace(shaken, served=await self._believed(host, address))
        return Shaken(
            address=address, name=host, by=by, version=connection.version, took_ms=connection.tls_ms,
            served=served_by(connection.tls),
        )  # fmt: skip

    async def _believed(self, host: str, address: str) -> Served | None:
        """Read a certificate that was refused, by a handshake that believes anybody."""
        _, connection = await self._connect(host, address)
        if connection is None:
            return None
        with connection, suppress(Exception):
            async with asyncio.timeout(_TLS_SECONDS):
                await connection.secure(context_of(self._case, believing=True), host)
            return served_by(connection.tls)
        return None


async def _same(seen: HostSeen) -> HostSeen:
    return seen


async def _failure(error: Exception, phase: Phase, seconds: float) -> NetFailure:
    await _import("gateway.egress.classify")
    # Of a time limit the chain of exceptions knows only that something was cancelled.
    late = TimeoutError(f"no answer within {seconds:g} s")
    return failure_of(late if isinstance(error, TimeoutError) else error, phase)


async def _import(name: str) -> None:
    """Import what takes long in a thread: on the loop it would use up the time limits of everything else."""
    await asyncio.to_thread(importlib.import_module, name)


def fine(seen: HostSeen) -> bool:
    """Whether a handshake valid for the name came about."""
    return seen.shaken is not None and seen.shaken.failure is None
