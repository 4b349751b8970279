"""One request as a server here sees it, and one answer."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What was asked.

    Args:
        host: The name it was sent to, in lower case, without a port.
        site: What serves that name.
        address: The server's, with ``port``.
        headers: In lower case; of fields given twice the last.
        body: Its first 64 KiB.
        body_bytes: The whole length.
    """

    scheme: str
    host: str
    site: str
    address: str
    port: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    body_bytes: int = 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return self.target.partition("?")[2]

    @property
    def upgrades(self) -> bool:
        """Whether it asks for WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Args:
        edge: Whether it comes through Cloudflare and carries its header fields.
        after_seconds: How long the head waits.
        body_after_seconds: How long the body waits after the head.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    edge: bool = False
    after_seconds: float = 0.0
    body_after_seconds: float = 0.0
