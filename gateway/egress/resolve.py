"""From a host to addresses that may be connected to; what leads to ourselves, or where no app may go, is refused."""

import asyncio
import contextlib
import functools
import ipaddress
import socket
from collections.abc import Callable

from aiohttp import abc as aiohttp_abc

from gateway.model.cause import Cause

RESOLVE_SECONDS = 5.0
ANSWERS_MAX = 256
ADDRESSES_MAX = 8


class NotAllowedError(OSError):
    """We will not connect there.

    Attributes:
        status: What the app is answered.
    """

    cause: Cause
    status: int


class LoopError(NotAllowedError):
    """The request would reach the gateway itself."""

    cause, status = Cause.PROXY_LOOP_DETECTED, 508


class BarredError(NotAllowedError):
    """The name led to an address that no app may reach through us."""

    cause, status = Cause.PROXY_DESTINATION_BLOCKED, 403


class Resolver(aiohttp_abc.AbstractResolver):
    """The system's resolver, off the event loop, with a deadline and a look at every address that it gives.

    Args:
        check: Raises what a host, port and address must not be connected for.
    """

    def __init__(self, check: Callable[[str, int, str], None]) -> None:
        self._check = check
        self._answers: dict[str, tuple[str, ...]] = {}

    def answers(self, host: str) -> tuple[str, ...]:
        """Give what a name last resolved to, nothing when it did not or is long forgotten."""
        return self._answers.get(host, ())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp_abc.ResolveResult]:
        """Look a name up; both families, in the system's order."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[host] = tuple(dict.fromkeys(str(address[0]) for *_, address in found))[:ADDRESSES_MAX]
        results: list[aiohttp_abc.ResolveResult] = []
        for kind, _, proto, _, address in found:
            self._check(host, port, str(address[0]))
            results.append(
                {
                    "hostname": host,
                    "host": str(address[0]),
                    "port": port,
                    "family": kind,
                    "proto": proto,
                    "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                }
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""


def canonical(host: str) -> str:
    """Give an address in its one usual spelling; a name as it is.

    Systems know short forms (``127.1``, ``2130706433``), long ones (``0:0:0:0:0:0:0:1``) and IPv4 within IPv6.
    """
    if host.replace(".", "").isdigit():
        with contextlib.suppress(OSError):
            return socket.inet_ntoa(socket.inet_aton(host))
    elif ":" in host:
        with contextlib.suppress(ValueError):
            address = ipaddress.IPv6Address(host)
            return str(address.ipv4_mapped or address)
    return host


@functools.lru_cache(maxsize=256)
def is_address(host: str) -> bool:
    """Whether it needs no looking up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
