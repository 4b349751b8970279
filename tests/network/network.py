"""One simulated internet and the programs that run in it; the package's docstring shows how to use it."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from tests.network.authorities import Authorities
from tests.network.company_proxy import CompanyProxy
from tests.network.faults import Fault, Pieces, flat
from tests.network.namespace import command, inside, require_namespaces, routes, stores
from tests.network.truth import HOSTS, RESOLVER, RESOLVER_6, RESOLVERS, Host, addresses_of, certified, more_hosts

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 20.0
LEDGER_SECONDS = 10.0
_CALLER = {"HOME", "PATH", "LANG", "TERM", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "COVERAGE_PROCESS_START"}


class Asked(NamedTuple):
    """One row of the ledger.

    Args:
        server: ``ADDRESS:PORT`` for packets, ClientHellos and DNS, the name for HTTP.
        what: ``SYN``, ``UDP``, ``hello NAME``, ``A NAME``, ``GET /path``.
        more: For HTTP ``headers``, ``body_bytes``, ``scheme``, ``at``; for DNS ``transport``; for packets ``from``.
    """

    server: str
    what: str
    more: dict[str, Any]


class Network:
    """A context manager; the world lives as long as it is open.

    Args:
        directory: For its files; in a pytest session certificates are shared with its other tests.
        pieces: Faults and further hosts.
        hosts: Further names; each gets an address and a web server.
        ipv4: ``ok``, or ``none``: this machine has no address.
        ipv6: ``ok``, ``none``, or ``dead``: an address and a route, and every packet vanishes.
        offline: Whether this machine has no network at all.
        nameservers: What ``/etc/resolv.conf`` says.
        interfaces: Further network interfaces, such as ``tun0`` of a VPN; they are up and lead nowhere.
        etc_hosts: Lines of ``/etc/hosts``: name and address.
    """

    def __init__(
        self, directory: Path, *pieces: Pieces, hosts: Sequence[str] = (), ipv4: Literal["ok", "none"] = "ok",
        ipv6: Literal["ok", "dead", "none"] = "ok", offline: bool = False, nameservers: Sequence[str] = (),
        interfaces: Sequence[str] = (), etc_hosts: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        require_namespaces()
        given = flat(pieces)
        self.faults = [one for one in given if isinstance(one, Fault)]
        extra = [one for one in given if isinstance(one, Host)]
        self.hosts = [*HOSTS, *extra, *more_hosts(hosts, [*HOSTS, *extra])]
        self.directory = directory / "network"
        self.directory.mkdir(parents=True)
        self.authorities = Authorities(_shared(directory) / "network-authorities")
        trusted = {fault.more["issuer"] for fault in self.faults if fault.more.get("trusted")}
        self.bundle = self._file("bundle.pem", self.authorities.bundle(sorted(trusted)).decode())
        four, six = ipv4 == "ok", ipv6 != "none"
        served = ipv6 == "ok"
        self._write_world(routed_six=served)
        addresses = self._addresses(served=served)
        lost = [address for fault in self.faults if fault.kind == "unreachable" for address in fault.where]
        self._file("ip.txt", routes(addresses, lost, interfaces, offline=offline, four=four, six=six))
        servers = nameservers or ((RESOLVER,) if four else (RESOLVER_6,))
        names = {"localhost": "127.0.0.1"} | dict(etc_hosts or {})
        self._mounts = {
            "/etc/resolv.conf": self._file("resolv.conf", "".join(f"nameserver {one}\n" for one in servers)),
            "/etc/hosts": self._file("hosts", "".join(f"{address} {name}\n" for name, address in names.items())),
        } | stores(self.bundle)
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self._end)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        stumbled = (self.directory / "world.log").read_text()
        self._stack.close()
        if kind is None and stumbled:
            raise AssertionError(f"the world stumbled: {stumbled}")

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 30.0, stdin: bytes = b"",
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program in it to its end; TimeoutExpired when it takes longer, then it is gone."""
        with self.popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            out, errors = process.communicate(stdin, timeout)
        return subprocess.CompletedProcess(
            list(argv), process.returncode, out.decode(), errors.decode(errors="replace")
        )

    @contextlib.contextmanager
    def popen(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program in it, and end it with the block. Its environment is the clean one plus ``env``."""
        process = subprocess.Popen(self.command(argv), env=self.env | dict(env or {}), process_group=0, **options)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

    @property
    def env(self) -> dict[str, str]:
        """What programs in it are given: no proxies, no keys, a home of their own, and this world's CA."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name in _CALLER}
        return kept | {"HOME": str(home), "SSL_CERT_FILE": str(self.bundle)}

    def command(self, argv: Sequence[str]) -> list[str]:
        """Give the command that runs this one in it."""
        return [*inside(self._pid, ROOT), *argv]

    @property
    def pid(self) -> int:
        """The world's process, seen from outside."""
        return self._pid

    @property
    def asked(self) -> list[Asked]:
        """What was sent to whom so far, in order."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        self._read_line(b"written", LEDGER_SECONDS)
        rows = map(json.loads, (self.directory / "ledger.jsonl").read_text().splitlines())
        return [Asked(row["server"], row["what"], row["more"]) for row in rows]

    def rows(self, server: str = "", what: str = "") -> list[Asked]:
        """Give the rows of a server (a name, an address, or an address and port) that begin with ``what``."""
        return [
            row
            for row in self.asked
            if (not server or row.server == server or row.server.rpartition(":")[0] == server)
            and row.what.startswith(what)
        ]

    def squid(self, *, auth: bool = False, deny: Sequence[str] = ()) -> CompanyProxy:
        """Start the company's proxy at 10.0.0.3:3128; it ends with the network.

        Args:
            auth: Whether it asks for user and password.
            deny: Names that it refuses (``.name`` for all below).
        """
        made = CompanyProxy(self.command, self._pid, auth=auth, deny=deny)
        self._stack.callback(made.close)
        return made

    def _file(self, name: str, text: str) -> Path:
        file = self.directory / name
        file.write_text(text)
        return file

    def _addresses(self, *, served: bool) -> list[str]:
        every = {
            *addresses_of(self.hosts, {fault.kind for fault in self.faults if fault.layer == "dns"}),
            RESOLVER,
            RESOLVER_6,
            *RESOLVERS,
        }
        return sorted(one for one in every if served or ":" not in one)

    def _write_world(self, *, routed_six: bool) -> None:
        document = {
            "hosts": self.hosts,
            "faults": [asdict(fault) for fault in self.faults],
            "certificates": str(_shared(self.directory.parent) / "network-authorities"),
            "ledger": str(self.directory / "ledger.jsonl"),
            "six": routed_six,
        }
        self._file("world.json", json.dumps(document))

    def _start(self) -> None:
        program = [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-m",
            "tests.network.world",
            str(self.directory / "world.json"),
        ]
        with (self.directory / "world.log").open("wb") as log:
            self._process = subprocess.Popen(
                command(self.directory, self._mounts, program),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, bufsize=0,
            )  # fmt: skip
        for host in self.hosts:  # meanwhile; from the second network on they are all there
            self.authorities.leaf("public", "good", certified(host))
        self._read_line(b"ready", START_SECONDS)
        own = self._process.pid
        self._pid = int(Path(f"/proc/{own}/task/{own}/children").read_text().split()[0])

    def _read_line(self, expected: bytes, seconds: float) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline().strip() if ready else b""
        if line != expected:
            raise RuntimeError(f"the world said {line!r}: {(self.directory / 'world.log').read_text()}")

    def _end(self) -> None:
        if self._process is None:
            return
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)  # process 1: the kernel ends all the others before it is gone
        else:
            self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


def _shared(directory: Path) -> Path:
    """Give the directory of the whole pytest session, also where workers have directories of their own."""
    for one in directory.parents:
        if re.fullmatch(r"popen-gw\d+", one.name):
            return one.parent
    return directory.parent
