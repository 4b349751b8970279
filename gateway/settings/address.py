"""Where one of our own listeners is bound."""

from ipaddress import ip_address
from typing import NamedTuple

PORT_MAX = 65_535


class Address(NamedTuple):
    """A host (a name or an IP literal, without brackets) and a TCP port; port 0 means any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for every address that this machine has."""
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def from_here(self) -> "Address":
        """Where this machine itself reaches it."""
        if not self.is_everywhere:
            return self
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)

    def __str__(self) -> str:
        """Give ``host:port``; an IPv6 literal gets its brackets back."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises:
        ValueError: With a sentence that says what was expected.
    """
    host, colon, port_text = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or (":" in host) != bracketed or any(c.isspace() or c in "/@[]" for c in host):
        message = "HOST:PORT, for example 127.0.0.1:8080 (IPv6 in brackets: [::1]:8080)"
        raise ValueError(message)
    if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > PORT_MAX:
        message = f"a port between 0 and {PORT_MAX} after the colon (0 = any free port)"
        raise ValueError(message)
    return Address(host.lower(), int(port_text))
