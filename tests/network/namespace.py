"""A mount, process and network namespace of one's own: routes, files of /etc, and the command that enters it."""

import functools
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.network.truth import HERE_4, HERE_6, PROXY, ROUTER_4, ROUTER_6
from tests.tools import require_tool

_NOWHERE = "02:00:00:00:00:01"
"""A station that nobody is: the default gateway swallows every packet."""

_UNSHARE = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")


def require_namespaces() -> None:
    """Skip the test where no namespaces can be made, or fail where every test has to run."""
    words = _missing()
    if words and os.environ.get("WHYGATE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(words)
    if words:
        pytest.skip(words)


@functools.cache
def _missing() -> str:
    for name, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        require_tool(name, f"apt-get install {package}")
    script = "ip link set lo up && ip link add v0 type veth peer name v1"
    done = subprocess.run(["unshare", *_UNSHARE, "sh", "-c", script], capture_output=True, check=False, timeout=20)
    return f"no network namespace can be made here: {done.stderr.decode().strip()}" if done.returncode else ""


def routes(
    addresses: Iterable[str],
    unreachable: Iterable[str],
    interfaces: Sequence[str] = (),
    *,
    offline: bool,
    four: bool,
    six: bool,
) -> str:
    """Give the commands for ``ip -batch`` that make this machine and lead to the servers.

    Args:
        addresses: The servers'.
        unreachable: Addresses that the router refuses.
        interfaces: Tunnels that exist besides.
        offline: Whether there is no network but loopback.
        four: Whether this machine has IPv4.
        six: Whether this machine has IPv6.
    """
    lines = ["link set lo up mtu 1500", f"address add {PROXY}/32 dev lo"]
    if offline:
        return "\n".join(lines[:1])
    lines += [
        "link add v0 type veth peer name v1",
        "link set v1 addrgenmode none up",
        "link set v0 addrgenmode none up",
    ]
    for on, here, length, router, family in ((four, HERE_4, 24, ROUTER_4, "-4"), (six, HERE_6, 64, ROUTER_6, "-6")):
        if on:
            lines.append(f"address add {here}/{length} dev v0{' nodad' if family == '-6' else ''}")
            lines.append(f"neighbour add {router} lladdr {_NOWHERE} dev v0")
            lines.append(f"route add default via {router} dev v0")
    for name in interfaces:
        lines += [f"tuntap add dev {name} mode tun", f"link set {name} up"]
    refused = set(unreachable)
    for address in addresses:
        here, on = (HERE_6, six) if ":" in address else (HERE_4, four)
        if on and address not in refused:
            lines.append(f"route add local {address} dev lo table local src {here}")
    lines += [f"route add unreachable {address}" for address in refused if six or ":" not in address]
    return "\n".join(lines)


def command(directory: Path, mounts: dict[str, Path], program: Sequence[str]) -> list[str]:
    """Give the command that makes the namespaces, sets them up and becomes the program.

    Args:
        directory: Where ``ip.txt`` stands.
        mounts: Which file is seen at which path.
    """
    present = {at: file for at, file in mounts.items() if Path(at).exists()}
    lines = [f"mount --bind '{file}' '{at}'" for at, file in present.items()]
    lines += [f"ip -batch '{directory / 'ip.txt'}'", 'exec "$@"']
    return ["unshare", *_UNSHARE, "sh", "-c", " && ".join(lines), "sh", *program]


def stores(bundle: Path) -> dict[str, Path]:
    """Give the mounts that make a bundle the machine's own."""
    return dict.fromkeys(_STORES, bundle)


def inside(pid: int, directory: Path) -> list[str]:
    """Give what to put before a command so that it runs in the namespaces of a process, in this directory."""
    return ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", f"--wdns={directory}", "--"]
