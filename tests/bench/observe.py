"""What it costs that others watch: on the path, beside it, and when somebody reads the figures.

Run: ``uv run python -m tests.bench.observe``
"""

import time
from collections.abc import Callable

from gateway.model.cause import Cause
from gateway.observe.ended import of_call
from gateway.observe.log_json import Lines, call_fields
from gateway.observe.metrics import Metrics, Now, exposition
from gateway.observe.observer import Observer
from gateway.observe.otel import Otel
from gateway.observe.switch import Wanted
from tests.gateway.factories import ListSink
from tests.gateway.observe.collector import collecting
from tests.gateway.record.made import a_call, a_concluded, a_live

CALLS = 20_000


class NoSink(ListSink):
    """Keeps nothing."""

    def opened(self, live: object) -> None:
        """Take it."""

    def closed(self, live: object, concluded: object) -> None:
        """Take it."""


def each_us(work: Callable[[], object], calls: int = CALLS) -> float:
    """Give microseconds a call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(calls // 5):
            work()
        best = min(best, (time.perf_counter() - began) / (calls // 5))
    return best * 1e6


def main() -> None:
    """Print it."""
    call = a_call()
    live, concluded = a_live(call), a_concluded(call)
    ended, metrics = of_call(live, concluded), Metrics(frozenset({"openai"}), "bench")
    observer = Observer(NoSink(), (metrics.take,))
    print(f"on the path, a call          {each_us(lambda: observer.closed(live, concluded)):8.2f} us")
    print(f"figures, beside the path     {each_us(lambda: metrics.take(ended)):8.2f} us")
    print(f"a line of JSON, fields alone {each_us(lambda: call_fields(ended)):8.2f} us")
    with open("/dev/null", "w") as nowhere:  # noqa: PTH123 - a device
        lines = Lines(nowhere.fileno())
        print(f"a line of JSON, written      {each_us(lambda: lines.say(call_fields(ended))):8.2f} us")
        lines.close()
    with collecting() as collector:
        import os

        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        otel = Otel(Wanted(traces=True, metrics=True), {}, "bench")
        print(f"span, attempt and metrics    {each_us(lambda: otel.take(ended), 5000):8.2f} us")
        otel.close()
    for number in range(10_000):
        metrics.take(ended._replace(model=f"m{number}", tenant=f"t{number % 150}", cause=Cause.UNKNOWN))
    began = time.perf_counter()
    text, _ = exposition(metrics, Now(), "")
    print(f"/metrics at its largest      {(time.perf_counter() - began) * 1e3:8.1f} ms, {len(text):,} bytes")


if __name__ == "__main__":
    main()
