"""Requests/s, CPU per call and added latency beside stock mitmdump, and start to ready.

Run: ``uv run python -m tests.bench.requests``
"""

import tempfile
from dataclasses import astuple
from pathlib import Path
from statistics import median

import psutil

from tests.bench.peers import Load, gateway, hey, mitmdump, need, nginx

ROUNDS, CALLS, WORKERS = 7, 1_600, 16
"""Rounds in turn: a shared machine is twice as fast in one minute as in the next."""
STEADY_PER_SECOND, STEADY_CALLS = 50.0, 300


def middle(loads: list[Load]) -> Load:
    """Give the median of each figure."""
    return Load(*(median(values) for values in zip(*map(astuple, loads), strict=True)))


def show(name: str, load: Load) -> None:
    print(f"{name:34} {load.per_second:9.0f} req/s  p50 {load.p50_ms:6.1f} ms  p99 {load.p99_ms:6.1f} ms  "
          f"CPU {load.cpu_us:6.0f} us/call  failed {load.failed}")  # fmt: skip


def main() -> None:
    """Print the table."""
    need("nginx", "hey")
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        with nginx(directory) as (port, ca), mitmdump(directory) as (mitm_port, mitm):
            ours = gateway(directory, port, ca)
            process = psutil.Process(ours.process.pid)
            target = f"https://localhost:{port}/v1/chat/completions"
            try:
                for proxy, who in ((ours.proxy, process), (f"http://127.0.0.1:{mitm_port}", mitm)):
                    hey(target, proxy, calls=500, workers=WORKERS, process=who)
                rounds = [
                    [
                        hey(target, proxy, calls=CALLS // share, workers=WORKERS, process=one)
                        for proxy, one, share in ((ours.proxy, process, 1), (f"http://127.0.0.1:{mitm_port}", mitm, 2))
                    ]
                    for _ in range(ROUNDS)
                ]
                us, them = (middle(list(loads)) for loads in zip(*rounds, strict=True))
                show("whygate, every stage on", us)
                show("mitmdump", them)
                faster = sorted(mine.per_second / other.per_second for mine, other in rounds)
                cheaper = median(other.cpu_us / mine.cpu_us for mine, other in rounds)
                print(f"{'ratio':34} {median(faster):9.2f} x requests/s ({faster[0]:.2f} to {faster[-1]:.2f} in"
                      f" {ROUNDS} rounds), CPU per call 1/{cheaper:.2f}")  # fmt: skip
                for name, workers in (("50 calls/s", 1), ("50 calls/s, four at once", 4)):
                    calm = {"calls": STEADY_CALLS, "workers": workers, "rate": STEADY_PER_SECOND}
                    direct = hey(target, "", process=process, **calm)  # type: ignore[arg-type]
                    through = hey(target, ours.proxy, process=process, **calm)  # type: ignore[arg-type]
                    show(f"direct, {name}", direct)
                    show(f"whygate, {name}", through)
                    p50_ms, p99_ms = through.p50_ms - direct.p50_ms, through.p99_ms - direct.p99_ms
                    print(f"{'added':34} p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms")
                print(
                    f"{'start to ready':34} {ours.start_seconds:.2f} s, idle {process.memory_info().rss / 2**20:.0f} MiB after the load"
                )
            finally:
                ours.stop()


if __name__ == "__main__":
    main()
