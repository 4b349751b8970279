"""Names with a behaviour of their own, for a gateway whose PYTHONPATH has this folder in front.

Python imports a module of this name at its start (docs.python.org/3/library/site.html, read 2026-11).
`socket.getaddrinfo` then answers for names below ``.fault.test``; all other names go to the system as before.
What stands before that says what happens, for example ``slow-10.fault.test`` or ``one--slow-0.5.fault.test``; what
ends in two dashes is only there to make names that no cache knows:

- ``slow-SECONDS``        127.0.0.1, after so long
- ``servfail``            the resolver fails for now (EAI_AGAIN)
- ``nxdomain``            there is no such name (EAI_NONAME)
- ``never``               as slow, and longer than anybody waits; then as servfail
- ``two-ADDRESS-ADDRESS`` these addresses, in this order
- anything else           127.0.0.1

``.invalid`` (RFC 6761 section 6.4) does not exist either, and nobody is asked: no test leaves this machine.
An event loop that resolves names without Python's help is not reached.
"""

import socket
import time
from typing import Any

ZONE = ".fault.test"
NEVER_SECONDS = 30.0
"""As long as a system's resolver tries with its usual settings (resolv.conf(5): 5 s, twice, three servers)."""

_system = socket.getaddrinfo


def _addresses(name: str) -> list[str]:
    kind, _, rest = name.rpartition("--")[2].partition("-")
    if kind in {"never", "slow"}:
        time.sleep(NEVER_SECONDS if kind == "never" else float(rest))  # noqa: TID251 - it stands for a blocking resolver
    if kind in {"never", "servfail"}:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    if kind == "nxdomain":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return rest.split("-") if kind == "two" else ["127.0.0.1"]


def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> list[Any]:
    """Answer as `socket.getaddrinfo` does."""
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    if name.endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if not name.endswith(ZONE):
        return list(_system(host, port, *rest, **named))
    found: list[Any] = []
    for address in _addresses(name.removesuffix(ZONE)):
        found += _system(address, port, *rest, **named)
    return found


socket.getaddrinfo = getaddrinfo
