"""Who is behind a connection: real sockets of real processes on loopback."""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import pytest

from gateway import clients as module
from gateway.clients import Clients, Holder, _script, look_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tables are read on Linux alone")

PROGRAM = Path(sys.executable).name
APP = """
import socket, struct, sys
host, port, count, own = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
held = []
for _ in range(count):
    end = socket.socket(family)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT is left
    if own:
        end.bind((own.partition(":")[0], int(own.partition(":")[2])))
    end.connect((host, port))
    held.append(end)
sys.stdin.read()
"""


@dataclass
class Door:
    """A listener that tells `Clients` of every connection, as a call would."""

    clients: Clients
    server: asyncio.Server
    addresses: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    async def seen(self, count: int) -> list[str]:
        await until(lambda: len(self.addresses) >= count)
        return self.addresses


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def door(clients: Clients, listener: socket.socket | None = None) -> AsyncIterator[Door]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        opened.addresses.append(f"{peer[0]}:{peer[1]}")
        clients.came(opened.addresses[-1])
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, sock=listener or socket.create_server(("127.0.0.1", 0)))
    opened = Door(clients, server)
    try:
        yield opened
    finally:
        clients.close()
        server.close()
        server.close_clients()
        await server.wait_closed()


@contextlib.contextmanager
def app(script: Path, port: int, *, host: str = "127.0.0.1", count: int = 1, own: str = "") -> Iterator[int]:
    """Run a program that connects, and give its process id."""
    script.write_text(APP)
    command = [sys.executable, str(script), host, str(port), str(count), own, "--api-key", "sk-canary"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield process.pid
        finally:
            process.communicate()


def listening(family: socket.AddressFamily, host: str) -> socket.socket:
    listener = socket.socket(family)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, 0))
    except OSError as exc:
        listener.close()
        pytest.skip(f"no IPv6 on this machine: {exc}")
    listener.listen()
    return listener


async def test_an_app_is_named_by_its_program_and_script_and_nothing_else(tmp_path: Path) -> None:
    async with door(Clients()) as opened:
        with app(tmp_path / "app.py", opened.port) as pid:
            (address,) = await opened.seen(1)
            assert opened.clients.name(address) is None
            await until(lambda: opened.clients.name(address))
        assert opened.clients.name(address) == f"{PROGRAM} app.py (pid {pid})"


@pytest.mark.parametrize(("host", "to"), [("::1", "::1"), ("::ffff:127.0.0.1", "127.0.0.1")])
async def test_ipv6_and_ipv4_behind_a_listener_for_both_are_found(host: str, to: str, tmp_path: Path) -> None:
    async with door(Clients(), listening(socket.AF_INET6, host)) as opened:
        with app(tmp_path / "six.py", opened.port, host=to) as pid:
            (address,) = await opened.seen(1)
            assert address.startswith(host)
            await until(lambda: opened.clients.name(address))
        assert opened.clients.name(address) == f"{PROGRAM} six.py (pid {pid})"


async def test_many_connections_share_one_pass_on_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[int, int]] = []

    def look(addresses: tuple[str, ...], likely: tuple[int, ...], proc: Path) -> dict[str, Holder]:
        passes.append((threading.get_ident(), len(addresses)))
        return look_up(addresses, likely, proc)

    monkeypatch.setattr(module, "look_up", look)
    monkeypatch.setattr(module, "GATHER_SECONDS", 1.0)
    async with door(Clients()) as opened:
        with app(tmp_path / "one.py", opened.port, count=20), app(tmp_path / "two.py", opened.port, count=20):
            addresses = await opened.seen(40)
            for address in addresses * 3:
                opened.clients.seen(address)
            await until(lambda: all(opened.clients.name(address) for address in addresses))
        names = {str(opened.clients.name(address)).partition(" (")[0] for address in addresses}
    assert names == {f"{PROGRAM} one.py", f"{PROGRAM} two.py"}
    assert sum(count for _, count in passes) == 40
    assert len(passes) <= 3, "the second program may have started later"
    assert threading.get_ident() not in {thread for thread, _ in passes}


async def test_one_pass_at_a_time_and_those_that_come_meanwhile_have_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, running, most = threading.Event(), [0], [0]
    asked: list[tuple[str, ...]] = []

    def look(addresses: tuple[str, ...], *_: object) -> dict[str, Holder]:
        running[0] += 1
        most[0] = max(most[0], running[0])
        asked.append(addresses)
        gate.wait(10)
        running[0] -= 1
        return {}

    monkeypatch.setattr(module, "look_up", look)
    clients = Clients()
    clients.seen("127.0.0.1:1")
    await until(lambda: asked)
    for port in (1, 2, 3, 2):
        clients.seen(f"127.0.0.1:{port}")
    await asyncio.sleep(0.15)
    gate.set()
    await until(lambda: len(asked) == 2)
    clients.close()
    assert asked == [("127.0.0.1:1",), ("127.0.0.1:2", "127.0.0.1:3")]
    assert most == [1]


async def test_a_port_that_another_program_uses_next_has_another_name(tmp_path: Path) -> None:
    address = f"127.77.{os.getpid() // 256 % 256}.{os.getpid() % 256}:20001"  # nobody else's
    async with door(Clients()) as opened:
        with app(tmp_path / "first.py", opened.port, own=address) as first:
            assert await opened.seen(1) == [address]
            await until(lambda: opened.clients.name(address))
        assert opened.clients.name(address) == f"{PROGRAM} first.py (pid {first})"
        with app(tmp_path / "second.py", opened.port, own=address) as second:
            await opened.seen(2)
            assert opened.addresses == [address, address]
            await until(lambda: opened.clients.name(address) != f"{PROGRAM} first.py (pid {first})")
            await until(lambda: opened.clients.name(address))
        assert opened.clients.name(address) == f"{PROGRAM} second.py (pid {second})"


async def test_a_name_is_asked_for_once_in_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where none is found."""
    asked: list[str] = []

    def look(addresses: tuple[str, ...], *_: object) -> dict[str, Holder]:
        asked.extend(addresses)
        return {}

    monkeypatch.setattr(module, "look_up", look)
    clients = Clients()
    for number in (1, 2):
        clients.came("127.0.0.1:5")
        for asking in (True, False):
            clients.seen("127.0.0.1:5")
            assert clients.is_asked("127.0.0.1:5") is asking
            await until(lambda: not clients.is_asked("127.0.0.1:5"))
        assert len(asked) == number
    clients.close()


async def test_what_is_found_of_the_connection_before_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, asked = threading.Event(), [0]

    def look(addresses: tuple[str, ...], *_: object) -> dict[str, Holder]:
        asked[0] += 1
        holder = Holder(asked[0], f"number {asked[0]}")
        gate.wait(10)
        return dict.fromkeys(addresses, holder)

    monkeypatch.setattr(module, "look_up", look)
    clients = Clients()
    clients.came("127.0.0.1:5")
    await until(lambda: asked[0])
    clients.came("127.0.0.1:5")
    gate.set()
    names = set()
    while clients.is_asked("127.0.0.1:5"):
        names.add(clients.name("127.0.0.1:5"))
        await asyncio.sleep(0)
    assert names == {None}
    assert clients.name("127.0.0.1:5") == "number 2"
    clients.close()


def test_a_connection_that_is_not_ours_names_nobody() -> None:
    """Both ends of it are somebody else's: the port was ours once."""
    code = (
        "import socket, sys; l = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(l.getsockname());"
        "s = l.accept()[0]; print(c.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = f"127.0.0.1:{int(process.stdout.readline())}"
        found = look_up([address])
        process.communicate()
    assert found == {}


def test_a_connection_that_is_gone_names_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as end:
        address = "{}:{}".format(*end.getsockname())
        with listener.accept()[0]:
            (holder,) = look_up([address]).values()
            assert f"(pid {holder.pid})" in holder.name
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
            assert look_up([address]) == {}


@pytest.mark.parametrize("address", ["192.0.2.7:4000", "2001:db8::1:4000", "", "unix:", "127.0.0.1:x", "::1:99999999"])
async def test_what_is_no_address_of_this_machine_stays_unknown(address: str) -> None:
    clients = Clients()
    clients.seen(address)
    await asyncio.sleep(0.15)
    clients.close()
    assert clients.name(address) is None


async def test_where_the_kernel_tells_nothing_nobody_is_known_and_nothing_fails(tmp_path: Path) -> None:
    async with door(Clients(proc=tmp_path / "none")) as opened:
        with app(tmp_path / "app.py", opened.port):
            (address,) = await opened.seen(1)
            await asyncio.sleep(0.2)
            assert opened.clients.name(address) is None


async def test_a_look_that_fails_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[bool] = []

    def fail(*_: object) -> Never:
        failed.append(True)
        raise MemoryError

    monkeypatch.setattr(module, "look_up", fail)
    clients = Clients()
    for address in ("127.0.0.1:1", "127.0.0.1:2"):
        clients.seen(address)
        await until(lambda: clients._looking is None and not clients._pending)
        assert clients.name(address) is None
    clients.close()
    assert failed == [True, True]


async def test_what_is_remembered_and_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was not seen for longest goes first."""
    monkeypatch.setattr(module, "look_up", lambda *_: {})
    monkeypatch.setattr(module, "PENDING_MAX", 8)
    clients = Clients(known_max=8)
    for port in range(1, 20):
        clients.seen(f"127.0.0.1:{port}")
    assert len(clients._pending) == 8
    await until(lambda: len(clients._known) == 8)
    clients.seen("127.0.0.1:1")
    clients.seen("127.0.0.1:20")
    await until(lambda: "127.0.0.1:20" in clients._known)
    assert list(clients._known) == [*(f"127.0.0.1:{port}" for port in range(3, 9)), "127.0.0.1:1", "127.0.0.1:20"]
    clients.close()


async def test_after_its_end_and_without_a_loop_nothing_is_looked_up() -> None:
    clients = Clients()
    await asyncio.to_thread(clients.seen, "127.0.0.1:1")
    assert not clients._pending
    clients.seen("127.0.0.1:2")
    clients.close()
    clients.seen("127.0.0.1:3")
    await asyncio.sleep(0.15)
    assert not clients._known


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/usr/bin/python3 /srv/app.py --key sk-canary", "app.py"),
        ("python3 -u -B app.py", "app.py"),
        ("python3.13 -Im uvicorn main:app --key sk-canary", "-m uvicorn"),
        ("python /venv/bin/aider --api-key sk-canary", "aider"),
        ("python -c import_os('sk-canary') app.py", ""),
        ("python -W sk-canary /srv/app.py", "app.py"),
        ("python - sk-canary", ""),
        ("python -m sk-canary/x", ""),
        ("python", ""),
        ("node --max-old-space-size=4096 -r dotenv/config ./dist/server.mjs sk-canary", "server.mjs"),
        ("node server --key=sk-canary", "server"),
        ("node -e fetch('sk-canary.js')", ""),
        ("node --eval sk-canary.js", ""),
        ("node --token=sk-canary.js", ""),
        ("deno run --allow-net main.ts", "main.ts"),
        ("deno eval sk-canary.ts", ""),
        ("bun run index.ts", "index.ts"),
        ("java -Dkey=sk-canary -jar /opt/app.jar sk-canary.jar", "app.jar"),
        ("java com.acme.Main sk-canary.jar", ""),
        ("bash -lc sk-canary.sh", ""),
        ("bash -s sk-canary", ""),
        ("php -r sk-canary.php", ""),
        ("php -d key=sk-canary artisan", ""),
        ("ruby bin/rails server", "rails"),
        ("curl -H authorization:sk-canary https://x.example/a.py", ""),
        ("my-agent sk-canary.py", ""),
    ],
)
def test_of_the_arguments_only_the_script_or_module_is_shown(command: str, shown: str) -> None:
    assert _script([*command.split(), ""]) == shown


@pytest.mark.parametrize(
    ("cmdline", "name"),
    [
        (b"/opt/agent\0sk-canary\0", "agent (pid 7)"),
        (b"-bash\0/x/a.sh\0", "bash a.sh (pid 7)"),
        (b"python3\0/x/\x1b[31m\xe2\x80\xaeevil\n.py\0", "python3 [31mevil.py (pid 7)"),
        (b"python3\0/x/" + b"long" * 50 + b".py\0", "python3 " + ("long" * 50)[: 60 - 8 - 8] + " (pid 7)"),
        (b"worker: --key sk-canary\0", "real (pid 7)"),
        (b"", "pid 7"),
    ],
)
def test_a_name_is_short_and_harmless(tmp_path: Path, cmdline: bytes, name: str) -> None:
    (tmp_path / "cmdline").write_bytes(cmdline)
    (tmp_path / "exe").symlink_to("/usr/lib/real (deleted)")
    found = module._name(tmp_path, 7)
    assert found == name
    assert len(found) <= 60
