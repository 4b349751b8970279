"""What listens, and where: by default nothing that anybody but this machine can reach."""

import contextlib
import ipaddress
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import CLEAN, ROOT, GatewayProcess

LISTENING = "0A"
"""Linux, include/net/tcp_states.h (TCP_LISTEN), in hexadecimal as in /proc/net/tcp."""


def listeners(pid: int) -> dict[int, str]:
    """Give port -> address of what listens in the network of a process."""
    found = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == LISTENING:
                address, port = local.split(":")
                words = [address[at : at + 8] for at in range(0, len(address), 8)]
                packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
                found[int(port, 16)] = str(ipaddress.ip_address(packed))
    return found


@contextlib.contextmanager
def alone(directory: Path, *words: str) -> Iterator[int]:
    """Start a gateway in a network of its own, with nothing said about addresses; give its process's id."""
    unshare = shutil.which("unshare")
    namespaces = unshare and not subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode
    if not namespaces or not shutil.which("ip"):
        pytest.skip("no network namespaces here (apt-get install util-linux iproute2, on Linux)")
    command = [sys.executable, "-m", "gateway", *words, "--state", str(directory / "state")]
    with (directory / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [str(unshare), "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=CLEAN,
        )  # fmt: skip
    try:
        GatewayProcess.until((directory / "state" / "runtime.json").exists, 30)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("words", [("start",), ("start", "--ui", "mitmweb", "--set", "web_open_browser=false")])
def test_by_default_only_this_machine_reaches_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    with alone(tmp_path, *words) as pid:
        found = listeners(pid)
    assert {8080, 8081} <= found.keys()
    assert {address for address in found.values() if not ipaddress.ip_address(address).is_loopback} == set()
