"""Which way out of this network: straight, or through a proxy that the company or the user has set up. Pure.

The rules are those that curl, Go and requests share (curl.se/docs/manpage.html "NO_PROXY"; pkg.go.dev/golang.org/x/net/
http/httpproxy; read 2026-11): the lower-case variable wins, HTTPS_PROXY is for https targets, HTTP_PROXY for http ones,
ALL_PROXY for what has none of its own, and an address of this machine is never asked for through a proxy.
"""

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from gateway.model.call import Origin

_USUAL_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy to go through.

    Attributes:
        scheme: How the proxy itself is spoken to, ``http`` or ``https``.
        authorization: What Proxy-Authorization says, None without a user name.
    """

    scheme: str
    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Give its address, without the credential."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_via(text: str) -> Via:
    """Read a proxy's address, with or without a scheme (``http`` then) and a user name.

    Raises:
        ValueError: It is none that can be used. The message says what is expected and never holds the credential.
    """
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    expected = "an address like http://proxy.example.com:3128"
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError:
        raise ValueError(expected) from None
    if parts.scheme.startswith("socks"):
        message = f"{expected}: SOCKS proxies are not supported yet"
        raise ValueError(message)
    if parts.scheme not in _USUAL_PORTS or not host or _CONTROL.search(url):
        raise ValueError(expected)
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = b"Basic " + b64encode(pair)
    return Via(parts.scheme, host, port or _USUAL_PORTS[parts.scheme], authorization)


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways out.

    Attributes:
        https: For targets whose scheme is https, and for tunnels.
        http: For plain targets.
        no_proxy: Hosts that are reached straight, as in NO_PROXY.
    """

    https: Via | None = None
    http: Via | None = None
    no_proxy: tuple[str, ...] = ()

    def way_to(self, origin: Origin) -> Via | None:
        """Give the proxy for a target, None for straight."""
        via = self.https if origin.scheme == "https" else self.http
        if via is None or is_local(origin.host):
            return None
        if any(_covers(entry, origin.host, origin.port) for entry in self.no_proxy):
            return None
        return via


class Problem(NamedTuple):
    """A variable that cannot be used: its name, and what was expected."""

    name: str
    expected: str


def ways_from(env: Mapping[str, str]) -> tuple[Ways, tuple[Problem, ...]]:
    """Read the usual variables. One that cannot be used is left out and named."""
    problems: list[Problem] = []

    def read(*names: str) -> Via | None:
        for name in names:
            for spelling in (name.lower(), name):
                if not (text := env.get(spelling, "").strip()):
                    continue
                try:
                    return parse_via(text)
                except ValueError as error:
                    problem = Problem(spelling, str(error))
                    if problem not in problems:
                        problems.append(problem)
        return None

    https, http = read("HTTPS_PROXY", "ALL_PROXY"), read("HTTP_PROXY", "ALL_PROXY")
    excluded = env.get("no_proxy") or env.get("NO_PROXY") or ""
    return Ways(https, http, split_no_proxy(excluded)), tuple(problems)


def split_no_proxy(text: str) -> tuple[str, ...]:
    """Give the entries of a NO_PROXY value: separated by commas, white space, or both."""
    return tuple(entry for entry in re.split(r"[,\s]+", text.strip()) if entry)


def is_local(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether one entry of NO_PROXY names a host: itself, everything below it, an address, a network, or all."""
    if entry == "*":
        return True
    name, wanted = _name_and_port(entry.lower())
    if wanted not in {None, port}:
        return False
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _name_and_port(entry: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", entry)
    if bracketed:
        return bracketed[1], int(bracketed[2]) if bracketed[2] else None
    name, colon, port = entry.rpartition(":")
    if colon and ":" not in name and port.isdigit():
        return name, int(port)
    return entry, None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
