"""Which way out of this network: straight, or through a proxy that the company or the user has set up. Pure.

The rules are those that curl, Go and requests share (curl.se/docs/manpage.html "NO_PROXY"; pkg.go.dev/golang.org/x/net/
http/httpproxy; read 2026-11): the lower-case variable wins, HTTPS_PROXY is for https targets, HTTP_PROXY for http ones,
ALL_PROXY for what has none of its own, and an address of this machine is never asked for through a proxy.
"""

import contextlib
import functools
import ipaddress
import re
import socket
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from gateway.model.call import Origin

_USUAL_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}
"""Those that curl takes, too (curl.se/docs/manpage.html "--proxy", read 2026-11)."""

_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LOGIN_BYTES = 255
"""A user name and a password of SOCKS5 have one byte for their length (RFC 1929 section 2)."""

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
EXPECTED = "an address like http://proxy.example.com:3128 or socks5h://proxy.example.com:1080"


class Login(NamedTuple):
    """Who we are to a SOCKS proxy."""

    user: bytes
    password: bytes


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy to go through.

    Attributes:
        scheme: How the proxy itself is spoken to: ``http``, ``https``, ``socks5``, ``socks5h``, ``socks4``,
            ``socks4a``.
        authorization: What Proxy-Authorization says, None without a user name and for SOCKS.
        login: For SOCKS alone, None without a user name. SOCKS4 has no password, and sends none.
    """

    scheme: str
    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)
    login: Login | None = field(default=None, repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether it makes tunnels only, in SOCKS."""
        return self.scheme.startswith("socks")

    @property
    def wants_address(self) -> bool:
        """Whether names are looked up here, and the proxy is given an address."""
        return self.scheme in {"socks5", "socks4"}

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
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError:
        raise ValueError(EXPECTED) from None
    if parts.scheme == "socks":
        message = f"{EXPECTED}; socks:// does not say which SOCKS it is, and most are socks5h://"
        raise ValueError(message)
    if parts.scheme not in _USUAL_PORTS or not host or _CONTROL.search(url):
        raise ValueError(EXPECTED)
    via = Via(parts.scheme, host, port or _USUAL_PORTS[parts.scheme])
    if parts.username is None:
        return via
    login = Login(unquote(parts.username).encode(), unquote(parts.password or "").encode())
    if not via.is_socks:
        return replace(via, authorization=b"Basic " + b64encode(b":".join(login)))
    if max(map(len, login)) > _LOGIN_BYTES or b"\0" in login.user:
        message = f"{EXPECTED}, with a user name and a password of at most {_LOGIN_BYTES} bytes each"
        raise ValueError(message)
    return replace(via, login=login)


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


def is_same(via: Via, host: str, port: int) -> bool:
    """Whether a proxy's address is that of a listener, however this machine is spelled. ``host`` may mean all of it."""
    if via.port != port:
        return False
    there, here = canonical(via.host), canonical(host)
    if there == here:
        return True
    is_ours = is_local(there) or there in _EVERYWHERE  # whoever connects to "everywhere" reaches this machine
    return is_ours and (is_local(here) or here in _EVERYWHERE)


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
