"""Asked to end, a gateway finishes what it has begun, takes nothing new, and goes."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from tests.e2e.world import World, job, new_key, new_world
from tests.running import CLEAN, ROOT, GatewayProcess


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
        assert time.monotonic() - began < 1.5
        results = world.proxied.results()
        assert all(result["error"] is not None for result in results), "a stream that was cut looked finished"
        GatewayProcess.until(lambda: not world.provider.in_flight)


def test_without_work_it_goes_at_once(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        began = time.monotonic()
        world.gateway.process.send_signal(signal.SIGINT)
        assert world.gateway.process.wait(10) == 0
        assert time.monotonic() - began < 3.0


def test_a_hundred_streams_end_whole_and_those_who_wait_are_told_to_come_back(tmp_path: Path) -> None:
    """While they do, `/readyz` says 503: whoever sends traffic to several gateways takes another one."""
    rule = '[[limits.rules]]\nprovider = "openai"\nmodel = "gpt-4o"\nconcurrency = 1\n'
    with new_world(tmp_path, rule) as world:
        gateway, key = world.gateway, new_key()
        headers = {"x-simulate-interval-ms": "250", "x-simulate-events": "40"}
        streams = [job("chat", f"stream {n}", stream=True, headers=headers) for n in range(100)]
        # The first of them runs, and the others wait behind it.
        held = [
            job("chat", f"held {n}", stream=True, model="gpt-4o", key=key, headers=headers, max_retries=0)
            for n in range(51)
        ]
        world.proxied.send([*streams, *held])

        def is_full() -> bool:
            rows = gateway.flows()
            states = [row["state"] for row in rows]
            return states.count("streaming") == 101 and states.count("queued") == 50

        gateway.until(is_full, 30)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.until(lambda: readiness(gateway) == 503)
        results = world.proxied.results(60)
        ended, refused = results[:100], [one for one in results[100:] if one["error"] is not None]
        assert [result["error"] for result in ended] == [None] * 100
        assert {len(result["text"].split()) for result in ended} == {40}
        assert len(refused) == 50
        assert {one["error"]["status"] for one in refused} == {503}
        assert {one["error"]["headers"]["x-whygate-cause"] for one in refused} == {"proxy.draining"}
        assert gateway.process.wait(10) == 0


def test_asked_to_end_while_it_starts_it_ends_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """At whatever moment: the next start finds nothing in its way."""
    state = tmp_path / "state"
    command = [sys.executable, "-m", "gateway", "start", "--state", str(state)]
    command += ["--listen", "127.0.0.1:0", "--page", "127.0.0.1:0"]
    for delay_seconds in (0.1, 0.5, 0.9, 1.1, 1.3, 1.5, 1.7):
        process = subprocess.Popen(
            command, cwd=ROOT, env=CLEAN, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay_seconds)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert process.returncode in {0, -signal.SIGTERM}
        assert "Traceback" not in said
        assert time.monotonic() - began < 5.0
        assert not (state / "runtime.json").exists()
    gateway = GatewayProcess(tmp_path, "")
    assert gateway.stop() == 0


def test_two_gateways_do_not_share_a_port(tmp_path: Path) -> None:
    """The second says so and ends; a rolling restart needs another port, or another machine."""
    with new_world(tmp_path) as world:
        port = world.gateway.runtime["listen"]
        command = [sys.executable, "-m", "gateway", "start", "--state", str(tmp_path / "other"), "--listen", port]
        ended = subprocess.run(
            [*command, "--page", "127.0.0.1:0"], cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=False,
            timeout=20,
        )  # fmt: skip
        assert ended.returncode == 2
        assert "is already in use" in ended.stderr
