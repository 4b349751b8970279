"""Who is behind a connection: the program on this machine that holds its other end.

Theory of operation. A call costs one look into a dictionary. The addresses of new connections wait 50 ms for others,
then one thread looks all of them up in one pass: the kernel's tables of connections tell the inode of the socket at
each end (docs.kernel.org/networking/proc_net_tcp.html, read 2026-11-22), and the links in ``/proc/PID/fd`` tell who
holds it. A name is its connection's: the next one from the same port is looked up again.
An address counts only while the other end of its connection is ours: a port that is used for something else by now
names nobody. What cannot be found out stays unknown, silently.
"""

import asyncio
import os
import re
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

KNOWN_MAX = 10_000
PENDING_MAX = 1_000
LIKELY_MAX = 100
GATHER_SECONDS = 0.05
PAUSE_RATIO, PAUSE_SECONDS_MAX = 9, 2.0
"""Where looking takes long, the pause before the next pass is so many times longer: a tenth of one core at most."""
NAME_CHARS_MAX = 60
_COMMAND_BYTES_MAX = 4_096
_LOOPBACK = ("127.", "::1:", "::ffff:127.")
_MAPPED = "::ffff:"

_FILE = re.compile(r"[^-=:\s][^=:]*")
_SCRIPT = re.compile(
    rf"{_FILE.pattern}\.(?:py|pyw|pyz|js|mjs|cjs|jsx|ts|mts|cts|tsx|rb|php|pl|sh|bash|zsh|jar|dll|lua|jl|R)"
)
_MODULE = re.compile(r"[A-Za-z_][\w.]*")
_PYTHON = frozenset({"python", "pypy"})
_PYTHON_FLAGS = re.compile(r"-[bBdEiIOPqsSuvx]+")
"""Options without a value: the next word is still the script."""
_PYTHON_RUNS_MODULE = re.compile(r"-[bBdEiIOPqsSuvx]*m")
_CODE_LETTERS = {
    **dict.fromkeys(_PYTHON, "c"),
    **dict.fromkeys(("node", "nodejs", "tsx", "ts-node"), "ep"),
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh"), "cs"),
    **dict.fromkeys(("ruby", "perl", "lua", "julia", "Rscript", "bun"), "eEp"),
    **dict.fromkeys(("deno", "dotnet", "java"), ""),
    "php": "rBRE",
}
"""Programs that run a script, and the letters of their options after which there is code, or no script."""
_VERB_FIRST = frozenset({"bun", "deno", "dotnet", "java"})
"""Those whose first word need not be a script."""
_VERBS = frozenset({"run", "exec"})


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds the client's end of a connection."""

    pid: int
    name: str


class Clients:
    """Names for the addresses of apps on this machine. Used on one event loop.

    Args:
        proc: Where the kernel tells about processes; nothing is known where that is not so.
        known_max: How many addresses are remembered; the one that was not seen for longest is forgotten first.
    """

    def __init__(self, *, proc: Path = Path("/proc"), known_max: int = KNOWN_MAX) -> None:
        self._proc, self._known_max = proc, known_max
        self._known: OrderedDict[str, Holder | None] = OrderedDict()
        self._pending: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Future[dict[str, Holder]] | None = None
        self._asked: frozenset[str] = frozenset()
        self._pause_seconds = GATHER_SECONDS
        self._open = sys.platform == "linux"

    def came(self, address: str) -> None:
        """Hear of a new connection from ``host:port``; its name is there a moment later, if it can be found at all."""
        self._known.pop(address, None)
        self._ask(address)

    def seen(self, address: str) -> None:
        """Hear of a call on a connection that came."""
        if address in self._known:
            self._known.move_to_end(address)
        elif address not in self._asked:
            self._ask(address)

    def name(self, address: str) -> str | None:
        """Give ``python3 app.py (pid 4242)``; None while it is not known. From any thread."""
        holder = self._known.get(address)
        return holder.name if holder is not None else None

    def is_asked(self, address: str) -> bool:
        """Whether a name may be there soon. From any thread."""
        return address in self._pending or address in self._asked

    def _ask(self, address: str) -> None:
        if self._open and address.startswith(_LOOPBACK) and len(self._pending) < PENDING_MAX:
            self._pending[address] = None
            self._plan()

    def close(self) -> None:
        """Look nothing up any more. What is known stays."""
        self._open = False
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self) -> None:
        if self._timer is not None or self._looking is not None:
            return
        try:
            self._timer = asyncio.get_running_loop().call_later(self._pause_seconds, self._look)
        except RuntimeError:
            self._pending.clear()  # no loop, so nobody to look

    def _look(self) -> None:
        self._timer = None
        asked = tuple(self._pending)
        self._asked = frozenset(asked)  # before they pend no more: who asks from another thread finds them in one place
        self._pending = {}
        # Most connections are of programs that have others: those are looked at first, the last one seen before all.
        last = (holder.pid for holder in reversed(self._known.values()) if holder is not None)
        likely = tuple(dict.fromkeys(islice(last, LIKELY_MAX)))
        loop = asyncio.get_running_loop()
        try:
            looking = loop.run_in_executor(None, look_up, asked, likely, self._proc)
        except RuntimeError:
            self._asked = frozenset()
            return  # the executor is closed: the gateway ends
        self._looking = looking
        looking.add_done_callback(partial(self._found, asked, loop.time()))

    def _found(self, asked: tuple[str, ...], began: float, done: "asyncio.Future[dict[str, Holder]]") -> None:
        # Asked for even when nobody wants it: asyncio would complain about an exception that was never looked at.
        found = {} if done.cancelled() or done.exception() is not None else done.result()
        for address in asked:
            if address not in self._pending:  # the port is another connection's by now
                self._known[address] = found.get(address)
                self._known.move_to_end(address)
        self._looking, self._asked = None, frozenset()
        while len(self._known) > self._known_max:
            self._known.popitem(last=False)
        took = done.get_loop().time() - began
        self._pause_seconds = min(PAUSE_SECONDS_MAX, max(GATHER_SECONDS, took * PAUSE_RATIO))
        if self._pending:
            self._plan()


def look_up(addresses: Iterable[str], likely: Iterable[int] = (), proc: Path = Path("/proc")) -> dict[str, Holder]:
    """Find who holds the other end of our connections from these addresses. Reads files; not for an event loop.

    Args:
        addresses: ``host:port``; those about which nothing can be found out are not in the answer.
        likely: Processes to be asked before all others.
    """
    ends = {end: address for address in addresses if (end := _end_of(address))}
    sockets = dict(_sockets(ends, proc))
    ours = set(_links(proc / "self")) if sockets else set()
    wanted = {
        f"socket:[{inode}]": ends[local]
        for (local, remote), inode in sockets.items()
        if local in ends and f"socket:[{sockets.get((remote, local))}]" in ours
    }
    found: dict[str, Holder] = {}
    for pid in _processes(likely, proc):
        if not wanted:
            break
        held = [address for link in _links(proc / str(pid)) if (address := wanted.pop(link, None))]
        if held:
            holder = Holder(pid, _name(proc / str(pid), pid))
            found |= dict.fromkeys(held, holder)
    return found


def _end_of(address: str) -> str:
    """Give an address as the kernel's table writes it (words in the machine's order), an IPv4 one as such."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix(_MAPPED) if "." in host else host
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        return f"{_hex(packed)}:{int(port):04X}"
    except (OSError, ValueError):
        return ""


def _hex(packed: bytes) -> str:
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))


_MAPPED_HEX = _hex(bytes(10) + b"\xff\xff")


def _sockets(ends: Mapping[str, str], proc: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Give both sides of the connections that have such an end: (local, remote) -> inode."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError), (proc / "net" / table).open(encoding="ascii", errors="replace") as file:
            for line in file:
                fields = line.split(None, 10)
                if len(fields) < 10:
                    continue
                local, remote = fields[1].removeprefix(_MAPPED_HEX), fields[2].removeprefix(_MAPPED_HEX)
                # Inode 0: the process has closed it.
                if (local in ends or remote in ends) and fields[9] != "0":
                    yield (local, remote), fields[9]


def _processes(likely: Iterable[int], proc: Path) -> Iterator[int]:
    """Give all processes once: likely ones, then the youngest first."""
    first = dict.fromkeys(likely)
    yield from first
    with suppress(OSError):
        others = {int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()} - first.keys()
        yield from sorted(others, reverse=True)


def _links(process: Path) -> Iterator[str]:
    """Give what a process has open, as far as we may know."""
    with suppress(OSError), os.scandir(process / "fd") as entries:
        for entry in entries:
            with suppress(OSError):
                yield os.readlink(entry.path)  # noqa: PTH115 - thousands of them; a Path for each doubles the time


def _name(process: Path, pid: int) -> str:
    words: list[str] = []
    with suppress(OSError), (process / "cmdline").open("rb") as file:
        words = file.read(_COMMAND_BYTES_MAX).decode("utf-8", "replace").split("\0")
    program = words[0] if words else ""
    if any(character.isspace() for character in program):
        # A title that the program wrote over its words: arguments may be in it.
        words, program = [], ""
        with suppress(OSError):
            program = str((process / "exe").readlink()).removesuffix(" (deleted)")
    told = f"{_base(program).removeprefix('-')} {_script(words)}"
    shown = "".join(character for character in told if character.isprintable()).strip()
    suffix = f" (pid {pid})" if shown else f"pid {pid}"
    return shown[: NAME_CHARS_MAX - len(suffix)].rstrip() + suffix


def _script(words: list[str]) -> str:
    """Give the script or module that an interpreter runs, and nothing else of its arguments: they may hold secrets."""
    program = _base(words[0]).removeprefix("-").rstrip("0123456789.") if words else ""
    letters = _CODE_LETTERS.get(program)
    if letters is None:
        return ""
    first = program not in _VERB_FIRST
    for word, following in pairwise([*words[1:], ""]):
        if _SCRIPT.fullmatch(word) or (first and _FILE.fullmatch(word)):
            return _base(word)
        if program in _PYTHON and _PYTHON_RUNS_MODULE.fullmatch(word):
            return f"-m {following}" if _MODULE.fullmatch(following) else ""
        if _ends_search(word, letters, first=first, verb_first=program in _VERB_FIRST):
            return ""
        first = first and program in _PYTHON and _PYTHON_FLAGS.fullmatch(word) is not None
    return ""


def _ends_search(word: str, letters: str, *, first: bool, verb_first: bool) -> bool:
    """Say whether no script can follow: code, the standard input, or the program's own arguments do."""
    if not word.startswith("-"):
        return first or (verb_first and word not in _VERBS)
    if word.startswith("--"):
        return word.startswith(("--eval", "--print", "--run"))
    return word == "-" or any(letter in word for letter in letters)


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
