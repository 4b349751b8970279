"""Runs canaries in the runtimes of this machine, all at once, each in a process group that ends with its time.

Where the proxy variables name a gateway of ours, the canary's call goes there and comes back with its token. Where they
name another proxy, one of our own stands in its place on this machine: it lets nothing through, and by its refusal one
sees who would have asked it. Nothing leaves this machine then but what a runtime sends past the proxy, without a key.
"""

import asyncio
import contextlib
import os
import secrets
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from typing import Any

from gateway.canary.reading import PAST, REACHED, URL, Asked, document_in, one_line, read
from gateway.canary.runtimes import Canary, canary_for
from gateway.doctor.case import Case
from gateway.doctor.measured_here import RuntimeSeen
from gateway.doctor.own_way import PROXY_NAMES, is_own, leads_here, spelled
from gateway.doctor.replies import url_of
from gateway.egress.network import parse_via

EACH_SECONDS = 5.0
PROGRAMS = ("python3", "node", "curl", "java", "go", "ruby", "php")
WITHOUT_CANARY = ("dotnet",)
_REFUSAL = b"HTTP/1.1 502 whygate-canary\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
BY_BASE_URL = "base URL"
_MARKS = ("502", "whygate-canary")
_OUTPUT_BYTES = 65_536
_DRAIN_SECONDS = 0.5


async def runtimes_of(case: Case, *, seconds: float = EACH_SECONDS) -> tuple[RuntimeSeen, ...]:
    """Ask every runtime that is on PATH. Ends within ``seconds`` and a little; raises nothing."""
    path = case.environ.get("PATH", "")
    found = {name: one for name in PROGRAMS if (one := canary_for([name], {"PATH": path})) is not None}
    async with contextlib.AsyncExitStack() as stack:
        env = dict(case.environ)
        if not leads_here(case):
            place = await stack.enter_async_context(_standing_in())
            env |= {name: place for one in PROXY_NAMES for name in spelled(one) if env.get(name, "").strip()}
        loop = asyncio.get_running_loop()
        asked = {loop.create_task(_ask(case, one, env)): one for one in found.values()}
        if not asked:
            return ()
        try:
            # What a slow one needs must not cost what the others said.
            await asyncio.wait(asked, timeout=seconds)
        finally:
            for task in asked:
                task.cancel()
            await asyncio.wait(asked, timeout=2 * _DRAIN_SECONDS)
        late = f"it did not end within {seconds:g} s"
        return tuple(
            task.result() if task.done() and not task.cancelled() else RuntimeSeen(name=one.runtime, problem=late)
            for task, one in asked.items()
        )


async def _ask(case: Case, canary: Canary, env: Mapping[str, str]) -> RuntimeSeen:
    token = secrets.token_urlsafe(12)
    known = case.target.provider is not None and case.target.provider.upstream is None
    url = url_of(case.target) if known else URL
    try:
        said, why = await _run(canary.command(token, url, _base_url(case)), env)
    except (OSError, ValueError) as error:
        return RuntimeSeen(name=canary.runtime, problem=one_line(getattr(error, "strerror", "") or "it cannot be run"))
    document = document_in(said)
    if document is None:
        lines = [line for line in why.splitlines() if line.strip()] or ["it said nothing"]
        return RuntimeSeen(name=canary.runtime, problem=one_line(lines[-1]))
    means = tuple((one.name, _way(one)) for one in read(document, token))
    if not leads_here(case):
        means = tuple((str(one.get("name")), _asked_us(one)) for one in document.get("means", ()))
    return RuntimeSeen(name=canary.runtime, version=one_line(document["whygate_canary"]), means=means)


def _base_url(case: Case) -> str:
    """Give the base URL that OpenAI's SDKs read, where it leads to the gateway that runs; else nothing."""
    value = case.environ.get("OPENAI_BASE_URL", "").strip().rstrip("/")
    try:
        return value if leads_here(case) and is_own(case, parse_via(value.split("://")[-1].split("/")[0])) else ""
    except ValueError:
        return ""


def _way(asked: Asked) -> str:
    """Say which way an attempt came through, if any did; a certificate only matters where nothing else does."""
    return BY_BASE_URL if asked.by_proxy != REACHED and asked.by_base_url == REACHED else asked.by_proxy


def _asked_us(entry: Mapping[str, Any]) -> str:
    """Whether an attempt ended with the refusal of the proxy that stands in."""
    told = f"{entry.get('error', '')} {entry.get('status', '')}"
    return REACHED if any(mark in told for mark in _MARKS) else PAST


async def _run(command: list[str], env: Mapping[str, str]) -> tuple[str, str]:
    """Run a command to its end; its whole process group ends when that is cancelled. Raises OSError."""
    child = await asyncio.create_subprocess_exec(
        *command, env=dict(env), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    try:
        out, err = await child.communicate()
    finally:
        await _end(child)
    return out[-_OUTPUT_BYTES:].decode("utf-8", "replace"), err[-_OUTPUT_BYTES:].decode("utf-8", "replace")


async def _end(child: Process) -> None:
    """End a child with all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            await child.wait()
    # A program that it started elsewhere may hold its pipes open for ever; asyncio has no public way to let go of them.
    child._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001


@contextlib.asynccontextmanager
async def _standing_in() -> AsyncIterator[str]:
    """Stand in for the proxy: every request is refused, recognisably."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_REFUSAL)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        if hasattr(server, "close_clients"):  # from Python 3.13 on
            server.close_clients()
