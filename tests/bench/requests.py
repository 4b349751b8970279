"""Requests/s, CPU per call and added latency beside stock mitmdump, and start to ready.

Run: ``uv run python -m tests.bench.requests``
"""

import tempfile
from pathlib import Path

import psutil

from tests.bench.peers import Load, gateway, hey, mitmdump, need, nginx

CALLS, WORKERS = 8_000, 16
STEADY_PER_SECOND, STEADY_CALLS = 50.0, 300


def show(name: str, load: Load) -> None:
    print(f"{name:34} {load.per_second:9.0f} req/s  p50 {load.p50_ms:6.1f} ms  p99 {load.p99_ms:6.1f} ms  "
          f"CPU {load.cpu_us:6.0f} us/call  failed {load.failed}")  # fmt: skip


def main() -> None:
    """Print the table."""
    need("nginx", "hey")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with nginx(directory) as (port, ca), mitmdump(directory) as (mitm_port, mitm):
            ours = gateway(directory, port, ca)
            process = psutil.Process(ours.process.pid)
            target = f"https://localhost:{port}/v1/chat/completions"
            try:
                for proxy, who in ((ours.proxy, process), (f"http://127.0.0.1:{mitm_port}", mitm)):
                    hey(target, proxy, calls=500, workers=WORKERS, process=who)
                us = hey(target, ours.proxy, calls=CALLS, workers=WORKERS, process=process)
                them = hey(target, f"http://127.0.0.1:{mitm_port}", calls=CALLS // 4, workers=WORKERS, process=mitm)
                show("whygate, every stage on", us)
                show("mitmdump", them)
                print(
                    f"{'ratio':34} {us.per_second / them.per_second:9.2f} x requests/s, CPU per call 1/{them.cpu_us / us.cpu_us:.2f}"
                )
                calm = {"calls": STEADY_CALLS, "workers": 4, "rate": STEADY_PER_SECOND}
                direct = hey(target, "", process=process, **calm)  # type: ignore[arg-type]
                through = hey(target, ours.proxy, process=process, **calm)  # type: ignore[arg-type]
                show("direct, 50 calls/s", direct)
                show("whygate, 50 calls/s", through)
                print(
                    f"{'added':34} p50 {through.p50_ms - direct.p50_ms:.2f} ms, p99 {through.p99_ms - direct.p99_ms:.2f} ms"
                )
                print(
                    f"{'start to ready':34} {ours.start_seconds:.2f} s, idle {process.memory_info().rss / 2**20:.0f} MiB after the load"
                )
            finally:
                ours.stop()


if __name__ == "__main__":
    main()
