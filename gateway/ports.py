"""Listening addresses, and what to say when one cannot be had."""

import errno
import socket

from gateway.settings import Address

_LOCAL = frozenset({"::1", "0.0.0.0", "::", "::ffff:127.0.0.1"})  # noqa: S104 - compared, not bound


class StartError(Exception):
    """The gateway cannot start: what, where, and how to mend it."""

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix


def bind(address: Address) -> socket.socket:
    """Bind the page's address. StartError when it is taken."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
    except OSError as error:
        sock.close()
        raise port_error(error, address, "--page") from error
    return sock


def leads_to(own: Address, host: str, port: int) -> bool:
    """Whether an address and port is a listener of ours, whichever of this machine's addresses it is."""
    if port != own.port:
        return False
    return host == own.host or host.startswith("127.") or host in _LOCAL or (own.is_everywhere and _is_here(host))


def _is_here(address: str) -> bool:
    """Whether an address is one of this machine's: no other can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def port_error(error: Exception, address: Address, flag: str) -> StartError:
    """Say why an address cannot be listened on, and what to do."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        what = f"Port {address.port} is already in use"
        free = f"{flag} {address.host}:{address.port + 2}"
        fix = f"Stop what uses it (see: ss -ltnp 'sport = :{address.port}'), or take another: {free}"
    elif isinstance(error, OSError) and error.errno == errno.EACCES:
        what = f"Port {address.port} needs more rights than this user has"
        fix = f"Take a port above 1023: {flag} {address.host}:8090"
    else:
        what = f"Cannot listen: {error}"
        fix = f"Check the address, or take another: {flag} 127.0.0.1:0"
    return StartError(what, str(address), fix)
