"""From settings to what watches calls: figures for Prometheus, OpenTelemetry, a log of JSON lines."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from gateway.configured import providers
from gateway.limit.view import levels
from gateway.model.event import EventSink
from gateway.observe.log_json import log_call
from gateway.observe.metrics import Metrics, Now, Remaining, exposition
from gateway.observe.observer import Hearer, Observer
from gateway.observe.switch import wanted
from gateway.ports import StartError
from gateway.record.recorder import Recorder
from gateway.settings import Settings
from gateway.stages import Stages
from gateway.version import version

logger = logging.getLogger("whygate")

_INSTALL = "pip install 'whygate[otel]'"


class Observed:
    """What watches the calls of one gateway.

    Args:
        insist: Whether a variable that asks for what cannot be done keeps the gateway from starting. Not where a run
            started it: the variable is then the app's.

    Attributes:
        parts: Name of a part -> whether it does not work as it should, for ``whygate_degraded``. Others may add theirs.

    Raises:
        StartError: OpenTelemetry is wanted and cannot be had.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str], *, insist: bool = True) -> None:
        self._metrics = Metrics(frozenset(one.name for one in providers(settings)), version())
        self.parts: dict[str, Callable[[], bool]] = {}
        self._recorder: Recorder | None = None
        self._observer: Observer | None = None
        self._stages: Stages | None = None
        self._reading = asyncio.Lock()
        self._hearers: list[Hearer] = [self._metrics.take]
        if settings.observe.log == "json":
            self._hearers.append(log_call)
        self._close_otel: Callable[[], None] = lambda: None
        try:
            self._open_otel(settings.observe.otel, env)
        except StartError as error:
            if insist or settings.observe.otel:
                raise
            logger.warning("whygate: no OpenTelemetry: %s (%s). %s.", error, error.where, error.fix)

    def over(self, recorder: Recorder, before: EventSink | None = None) -> Observer:
        """Give the sink that tells the record, or who stands before it, and everybody here."""
        self._recorder = recorder
        self.parts["log"] = lambda: recorder.health()["degraded"] is not None
        self._observer = Observer(before or recorder, tuple(self._hearers))
        self._observer.start()
        return self._observer

    def begin(self, stages: Stages) -> Stages:
        """Look at these from now on, and give them."""
        self._stages = stages
        shelf = stages.cache
        if shelf is not None:
            self.parts["cache"] = lambda: shelf.degraded is not None
        return stages

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Give what ``/metrics`` answers, and its media type; one at a time, and written by another thread."""
        async with self._reading:
            now, observer = self._now(), self._observer
            if observer is None:
                return exposition(self._metrics, now, accept)
            read = observer.with_all_told
            return await asyncio.to_thread(read, lambda: exposition(self._metrics, now, accept))

    def close(self) -> None:
        """Tell what is left; two or three seconds at most, and only where a collector hangs."""
        if self._observer is not None:
            self._observer.close()
        self._close_otel()

    def _now(self) -> Now:
        recorder, stages = self._recorder, self._stages
        health = recorder.health() if recorder is not None else {}
        return Now(
            inflight=len(recorder.ring.running) if recorder is not None else 0,
            queue_depth=stages.gate.waiting if stages is not None else 0,
            remaining=[Remaining(*one) for one in levels(stages.gate)] if stages is not None else (),
            degraded={name: is_so() for name, is_so in self.parts.items()},
            record={name: int(health[name]) for name in ("written", "dropped", "queued") if name in health},
            lost=self._observer.lost if self._observer is not None else 0,
            pool=stages.upstream.pool()._asdict() if stages is not None else {},
        )

    def _open_otel(self, setting: bool | None, env: Mapping[str, str]) -> None:  # noqa: FBT001 - a setting as it is
        wish = wanted(setting, env)
        if not (wish.traces or wish.metrics):
            return
        if wish.problem is not None:
            raise StartError(*wish.problem)
        where = "[observe] otel" if setting else "OTEL_EXPORTER_OTLP_ENDPOINT, or that of traces or metrics alone"
        try:
            from gateway.observe.otel import Otel  # noqa: PLC0415 - an extra, and a third of a second of imports
        except ImportError as error:
            fix = f"{_INSTALL}, or say [observe] otel = false"
            raise StartError("OpenTelemetry is wanted, but its packages are not installed", where, fix) from error
        try:
            otel = Otel(wish, env, version())
        except ValueError as error:
            raise StartError(f"OpenTelemetry does not start: {error}", "a variable OTEL_...", "Correct it") from error
        self._hearers.append(otel.take)
        self._close_otel = otel.close
        self.parts["otel"] = lambda: otel.delivery.degraded
