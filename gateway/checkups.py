"""The doctor inside the gateway: second looks at what calls fail of, status pages, and runs that the page asks for."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from gateway import files
from gateway.configured import lists, providers
from gateway.doctor.asking import case_of, is_of_chatgpt, parse_host, path_of, provider_of
from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.looks import Looks, worth
from gateway.doctor.measured import StatusSaid
from gateway.doctor.probe import Done, Outcome, Probe
from gateway.doctor.report import REPORT_FILE, Report, document, report
from gateway.doctor.run import probes, run
from gateway.doctor.scope import scope
from gateway.doctor.watch import StatusWatch
from gateway.egress.network import Via, Ways
from gateway.model.call import Origin
from gateway.model.clock import Clock
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetFailure
from gateway.model.provider import Provider
from gateway.model.route import Route
from gateway.record.query import MAX_LIMIT, FlowFilter, Reader
from gateway.record.recorder import Recorder
from gateway.settings import Settings
from gateway.state import StateError
from gateway.version import version

_STATUS = "status"
RETIRED_MAX = 4
"""A look takes two seconds; settings do not change more often."""


class _Prepared(NamedTuple):
    """What settings mean for the doctor."""

    settings: Settings
    providers: Mapping[str, Provider]
    lists: Lists
    mode: str
    looks: Looks | None


def latest(recorder: Recorder) -> Callable[[], Awaitable[tuple[Mapping[str, Any], ...]]]:
    """Give what reads the latest rows of the log."""
    reader = Reader.of(recorder)

    async def read() -> tuple[Mapping[str, Any], ...]:
        return tuple((await asyncio.to_thread(reader.page, FlowFilter(), None, MAX_LIMIT)).flows)

    return read


class Checkups:
    """All that the doctor does for one gateway. Belongs to one event loop.

    Args:
        ways: The ways out of this network.
        flows: Gives the latest rows of the log.
        own: Gives our listeners as ``(host, port)``.
        more: Further fields of `Case` for runs that are asked for: ``state``, ``environ``.
    """

    def __init__(
        self,
        settings: Settings,
        ways: Ways,
        clock: Clock,
        *,
        flows: Callable[[], Awaitable[tuple[Mapping[str, Any], ...]]],
        own: Callable[[], tuple[tuple[str, int], ...]],
        **more: Any,
    ) -> None:
        self.ways, self._flows, self._own, self._more = ways, flows, own, more
        self._ca_file = str(settings.network.ca_file) if settings.network.ca_file else None
        self._every = probes()
        self._status = next((probe for probe in self._every if probe.name == _STATUS), None)
        self.watch = StatusWatch(self._ask_status, clock)
        self._clock = clock
        self._mode = "off"
        self._looks: Looks | None = None
        self._retired: list[Looks] = []
        self.take(self.prepared(settings))
        self._run: asyncio.Task[Report] | None = None
        self._seen: list[Outcome] = []
        self._last: Report | None = None

    def prepared(self, settings: Settings) -> _Prepared:
        """Give what settings mean here; nothing changes yet."""
        mode = settings.diagnose.probes
        looks = self._looks
        if mode != self._mode:
            unasked = (self._shared(probe) for probe in self._every if mode == "full" or probe.unasked)
            looks = None if mode == "off" else Looks(unasked, self._clock)
        known = {provider.name: provider for provider in providers(settings)}
        return _Prepared(settings, known, lists(settings), mode, looks)

    def take(self, prepared: _Prepared) -> None:
        """Go by them from now on. Looks that are under way end as they began."""
        if self._looks is not None and self._looks is not prepared.looks:
            self._retired = [*self._retired[-RETIRED_MAX:], self._looks]
        self._settings, self._providers, self._lists, self._mode, self._looks = prepared

    # for calls

    def look(
        self, route: Route, diagnosis: Diagnosis, failure: NetFailure | None
    ) -> Callable[[Diagnosis], Awaitable[Diagnosis]] | None:
        """See `Looks.look`."""
        if self._looks is None or route.foreign:
            return None
        if _STATUS in worth(diagnosis, failure) and self._has_own_upstream(route):
            self.watch.failed(route.provider.name)
        return self._looks.look(self._case(route), diagnosis, failure)

    def look_at(
        self, place: Origin, diagnosis: Diagnosis, failure: NetFailure | None
    ) -> Callable[[Diagnosis], Awaitable[Diagnosis]] | None:
        """Do the same for a tunnel to a host of no provider."""
        if self._looks is None:
            return None
        target = Target(host=place.host, port=place.port, path="/")
        return self._looks.look(self._unasked(target, self.ways.way_to(place)), diagnosis, failure)

    def incident(self, provider: str) -> str:
        """See `StatusWatch.incident`."""
        return self.watch.incident(provider)

    # for people

    def begin(self, host: str = "", *, chatgpt: bool = False) -> None:
        """Begin a run that was asked for; one that is under way goes on instead.

        Raises:
            ValueError: ``host`` is none; says what is expected.
        """
        if host and not self._knows(host):
            raise ValueError("a host that this gateway knows")
        if self._run is not None and not self._run.done():
            return
        case = self._asked(host, (), chatgpt=chatgpt)  # so that a mistake is told at once
        self._seen = []
        self._run = asyncio.get_running_loop().create_task(self._work(case, host, chatgpt=chatgpt))

    def _knows(self, host: str) -> bool:
        """Whether a host is a provider's or ChatGPT's: the page shall not be a way to make us contact any other."""
        name, _ = parse_host(host)
        return is_of_chatgpt(name) or provider_of(name, self._providers.values()) is not None

    def view(self) -> tuple[bool, tuple[Outcome, ...], int, Report | None]:
        """Give whether one runs, what it has measured, how many probes there are, and the last report."""
        running = self._run is not None and not self._run.done()
        return running, tuple(self._seen), len(self._every), self._last

    async def close(self) -> None:
        """End everything."""
        for looks in (*self._retired, *((self._looks,) if self._looks is not None else ())):
            await looks.close()
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)

    async def _work(self, case: Case, host: str, *, chatgpt: bool) -> Report:
        began_at, began = time.time(), time.perf_counter()
        case = self._asked(host, await self._flows(), chatgpt=chatgpt)
        outcomes = await run(case, self._every, heard=self._seen.append)
        took_ms = (time.perf_counter() - began) * 1000
        scope_ = scope(case, outcomes)
        self._last = report(case, outcomes, version=version(), began_at=began_at, took_ms=took_ms, scope=scope_)
        await asyncio.to_thread(self._leave, self._last)
        return self._last

    def _leave(self, found: Report) -> None:
        """Leave the report in the state directory, for `whygate bundle`."""
        place: Path | None = self._more.get("state")
        with suppress(OSError, StateError):  # a disk that is full is told of by a check
            if place is not None:
                files.replace(place / REPORT_FILE, json.dumps(document(found)).encode())

    def _asked(self, host: str, flows: tuple[Mapping[str, Any], ...], *, chatgpt: bool) -> Case:
        return case_of(
            providers=tuple(self._providers.values()),
            ways=self.ways,
            host=host,
            lists=self._lists,
            flows=flows,
            chatgpt=chatgpt,
            own=self._own(),
            ca_file=self._ca_file,
            asked=self._settings.doctor.controls,
            **self._more,
        )

    # inside

    def _case(self, route: Route) -> Case:
        """Give the case of a failed call: its host, and nothing that belongs to whoever started the gateway."""
        provider = route.provider
        target = Target(
            host=route.upstream.host,
            port=route.upstream.port,
            provider=provider,
            name=provider.name,
            path=path_of(provider),
            plain=route.upstream.scheme == "http",
            ca_file=provider.upstream_ca_file,
        )
        case = self._unasked(target, self.ways.way_to(route.upstream))
        if self._has_own_upstream(route):
            return case
        return replace(case, lists=replace(self._lists, status_pages={}))

    def _unasked(self, target: Target, via: Via | None) -> Case:
        return Case(
            target=target,
            lists=self._lists,
            via=via,
            own=self._own(),
            ca_file=self._ca_file,
            asked=self._settings.diagnose.probes == "full" and self._settings.doctor.controls,
        )

    def _has_own_upstream(self, route: Route) -> bool:
        """Whether calls go to the provider itself: a relay's or a simulator's troubles are not on its status page."""
        return any(route.upstream.host == host for host in self._hosts(route.provider))

    @staticmethod
    def _hosts(provider: Provider) -> tuple[str, ...]:
        return tuple(host.partition(":")[0] for host in provider.hosts if "*" not in host)

    def _shared(self, probe: Probe) -> Probe:
        """Let second looks ask status pages through the watch, which asks each once a minute."""
        if probe.name != _STATUS:
            return probe

        async def measure(case: Case, _done: Done) -> StatusSaid:
            page = case.lists.status_pages.get(case.target.name)
            said = await self.watch.ask(case.target.name)
            return said or StatusSaid(page=page.url if page is not None else "", state="unknown")

        return replace(probe, measure=measure)

    async def _ask_status(self, provider: str) -> StatusSaid | None:
        known = self._providers.get(provider)
        if self._status is None or known is None or provider not in self._lists.status_pages:
            return None
        home = next(iter(self._hosts(known)), "")
        target = Target(host=home, provider=known, name=provider)
        case = Case(target=target, lists=self._lists, via=self.ways.https, ca_file=self._ca_file, asked=False)
        said = await self._status.measure(case, Done())
        return said if isinstance(said, StatusSaid) else None
