"""What all lanes of one gateway share: the application, the certificates, the server protocol's settings."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, TLSVersion
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from mitmproxy import certs
from uvicorn.server import ServerState

from addons.crowd import Crowd
from addons.entrance import Entrance
from addons.interceptions import Interceptions
from addons.tunnels import Tunnels
from addons.websocket import WebSockets
from gateway.egress.connector import Stream
from gateway.egress.timeline import Timeline
from gateway.identify.locate import Place
from gateway.model.call import Call, Origin
from gateway.model.cause import Cause
from gateway.model.tenant import DEFAULT
from gateway.upgrade import Declined, Switched

CONTEXT_LIFE_SECONDS = 86_400.0
"""A leaf certificate lives for months; a new one each day is always valid and costs a few milliseconds."""

KEEP_ALIVE_SECONDS = 75
"""As nginx; longer than the 60 s after which common clients drop an idle connection themselves."""

HANDSHAKE_SECONDS = 20.0
CONTEXTS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A connection or request that never became a call: what the record shows of it.

    Attributes:
        at: Seconds since the epoch.
        host: What it was for, empty when unknown.
        detail: The words of the failure.
        status: What we answered, None when nothing could be said.
        method: CONNECT where that was asked, empty when it is not known or does not matter.
        flow_id: Of its row, empty to be given one.
        tenant: Whose it was, as far as that is known.
    """

    at: float
    client: str
    host: str
    cause: Cause
    detail: str
    status: int | None
    method: str = ""
    flow_id: str = ""
    tenant: str = DEFAULT


class Lanes:
    """The addon that lanes and fronts ask. mitmproxy finds it as ``lanes``.

    Args:
        app: The gateway's ASGI application.
        came: Told of every connection, as ``address:port`` of its client.
        entrance: Asks for the listener's credential.
        is_provider: Whether calls to a host (lower case) and port are decrypted.
        ca_key: mitmproxy's form of the certificate authority.
        scratch: A private directory for the moment in which OpenSSL reads a key.
        refused: Told of what could not become a call.
        upgrade: Asks a provider for a WebSocket.
        edited: Origin asked for (None in base-URL mode) and target -> where it goes when mitmproxy shall have it, else
            None.
        tunnels: Carry what is for no provider.
        websockets: Told of WebSockets.
        interceptions: Told of requests that are mitmproxy's.
        dial: Host and port -> a connection.
        crowd: Bounds what one client may take.
    """

    name = "lanes"

    def __init__(
        self,
        *,
        app: Callable[..., Any],
        came: Callable[[str], None],
        entrance: Entrance,
        is_provider: Callable[[str, int], bool],
        store: certs.CertStore,
        scratch: Path,
        refused: Callable[[Refusal], None],
        upgrade: Callable[[Call], Awaitable[Switched | Declined]],
        edited: Callable[[Origin | None, bytes], Place | None],
        tunnels: Tunnels,
        websockets: WebSockets,
        interceptions: Interceptions,
        dial: Callable[[str, int, Timeline], Awaitable[Stream]],
        crowd: Crowd,
    ) -> None:
        self.came, self.entrance, self.is_provider, self.crowd = came, entrance, is_provider, crowd
        self._store = store
        self._scratch = scratch
        self._contexts: dict[str, tuple[float, SSLContext]] = {}
        self.refused, self.upgrade, self.edited = refused, upgrade, edited
        self.tunnels, self.websockets, self.interceptions, self.dial = tunnels, websockets, interceptions, dial
        self.handed_over: set[asyncio.Task[None]] = set()
        self.state = ServerState()
        self.logger = logging.getLogger("whygate.lane")
        self.logger.disabled = True  # uvicorn reports every deliberate abort as a crash; the record says it better
        self.config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            proxy_headers=False,
            http="httptools",
            ws=asyncio.Protocol,  # any class: the lane asks for the upgrade itself
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self.config.load()

    def context(self, host: str) -> SSLContext:
        """Give TLS settings with a certificate for ``host``, signed by our authority; made once a day."""
        now = time.monotonic()
        made, context = self._contexts.get(host, (0.0, None))
        if context is None or now - made > CONTEXT_LIFE_SECONDS:
            if len(self._contexts) >= CONTEXTS_MAX:
                self._contexts.clear()
            context = self._make_context(host)
            self._contexts[host] = (now, context)
        return context

    def _make_context(self, host: str) -> SSLContext:
        ca = self._store.default_ca
        leaf = certs.dummy_cert(self._store.default_privatekey, ca._cert, host, [x509.DNSName(host)])  # noqa: SLF001 - its own store does the same
        pem = self._store.default_privatekey.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.minimum_version = TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # The ssl module reads certificates from files only; the directory is ours alone (0700), the file gone at once.
        with tempfile.NamedTemporaryFile(dir=self._scratch) as file:
            file.write(pem + leaf.to_pem() + ca.to_pem())
            file.flush()
            context.load_cert_chain(file.name)
        return context
