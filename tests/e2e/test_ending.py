"""Asked to end, a gateway finishes what it has begun, takes nothing new, and goes."""

import contextlib
import signal
import socket
import time
from pathlib import Path

import httpx2

from tests.e2e.world import World, job, new_world
from tests.running import GatewayProcess


def readiness(gateway: GatewayProcess) -> int | None:
    """Give the status of /readyz, None when nobody answers."""
    with contextlib.suppress(httpx2.HTTPError):
        return int(httpx2.get(f"http://{gateway.runtime['page']}/readyz", trust_env=False).status_code)
    return None


def refuses(gateway: GatewayProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", gateway.port), timeout=1).close()
    except OSError:
        return True
    return False


def begin_streams(world: World, seconds: float) -> None:
    """Start twenty streams and wait until each has given its first events."""
    headers = {"x-simulate-interval-ms": "100", "x-simulate-events": str(round(seconds * 10))}
    world.proxied.send(
        [job(("chat", "responses")[n % 2], f"stream {n}", stream=True, headers=headers) for n in range(20)]
    )

    def streaming() -> bool:
        running: int = sum(row["state"] == "streaming" for row in world.gateway.flows())
        return bool(running == 20)

    GatewayProcess.until(streaming, 20)


def test_twenty_running_streams_end_whole_before_it_goes(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        begin_streams(world, 3.0)
        gateway = world.gateway
        gateway.process.send_signal(signal.SIGTERM)
        GatewayProcess.until(lambda: refuses(gateway))
        assert readiness(gateway) == 503
        assert world.provider.in_flight == 20
        assert gateway.process.poll() is None
        results = world.proxied.results()
        assert [result["error"] for result in results] == [None] * 20
        assert [len(result["text"].split()) for result in results] == [30] * 20
        assert gateway.process.wait(10) == 0
        assert not any(row.aborted_by_client for row in world.provider.rows())
        assert not (gateway.state / "runtime.json").exists()


def test_asked_a_second_time_it_goes_at_once(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        begin_streams(world, 60.0)
        gateway = world.gateway
        gateway.process.send_signal(signal.SIGTERM)
        GatewayProcess.until(lambda: refuses(gateway))
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0
        assert time.monotonic() - began < 2.0
        results = world.proxied.results()
        assert all(result["error"] is not None for result in results), "a stream that was cut looked finished"
        GatewayProcess.until(lambda: not world.provider.in_flight)


def test_without_work_it_goes_at_once(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        began = time.monotonic()
        world.gateway.process.send_signal(signal.SIGINT)
        assert world.gateway.process.wait(10) == 0
        assert time.monotonic() - began < 3.0
