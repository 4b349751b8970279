"""An office: providers and others that only the company's proxy can reach, and gateways inside it."""

import asyncio
import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import trustme

from gateway.simulate import serve
from tests.e2e.squid import LOGIN, PASSWORD
from tests.e2e.world import Provider, World
from tests.running import GatewayProcess, plain

SECRETS = tuple(
    text.encode()
    for text in (
        PASSWORD,
        quote(PASSWORD, safe=""),
        LOGIN,
        base64.b64encode(f"jo@firm.test:{PASSWORD}".encode()).decode(),
    )
)
"""What a credential may look like where it has no business."""


class TlsProvider(Provider):
    """The simulated provider behind TLS, keeping the headers of every request."""

    def __init__(self, certificate: Path, **settings: Any) -> None:
        self._certificate = certificate
        self.headers: list[tuple[bytes, bytes]] = []
        super().__init__(**settings)

    async def _serve(self) -> None:
        async def listening(scope: Any, receive: Any, send: Any) -> None:
            self.headers += scope.get("headers", ())
            await self.simulator(scope, receive, send)

        async with await serve(listening, ssl_certfile=self._certificate) as handle:  # type: ignore[arg-type]
            self.port = handle.port
            self._ready.set()
            await self._end.wait()


class Elsewhere:
    """Somebody else's web server, with TLS of its own or in plain."""

    def __init__(self, authority: trustme.CA | None) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                body = b"elsewhere"
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if authority is not None:
            serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("elsewhere.test").configure_cert(serving)
            self.server.socket = serving.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Office:
    """What all gateways of an office share.

    Attributes:
        plain: Somebody else's server without TLS.
    """

    authority: trustme.CA
    ca_file: Path
    provider: TlsProvider
    secure: Elsewhere
    plain: Elsewhere

    def config(self, extra: str = "") -> str:
        """Give settings of a gateway whose providers are names that the proxy alone can find."""
        upstreams = {
            "openai": f"https://provider.test:{self.provider.port}",
            "denied": "https://denied.test",
            "dead": "https://dead.test:9",
            "nowhere": "https://nowhere.test",
        }
        tables = "".join(
            f'[[providers]]\nname = "{name}"\nupstream = "{url}"\nupstream_ca_file = "{self.ca_file}"\n'
            for name, url in upstreams.items()
        )
        return tables + extra

    @contextlib.contextmanager
    def world(self, directory: Path, extra: str = "", env: dict[str, str] | None = None) -> Iterator[World]:
        """Run a gateway in it."""
        gateway = GatewayProcess(directory, self.config(extra), env=env)
        world = World(self.provider, gateway, directory)
        try:
            yield world
        finally:
            for app in world._apps.values():
                app.close()
            gateway.stop()


@contextlib.contextmanager
def office(directory: Path) -> Iterator[Office]:
    """Open one."""
    authority = trustme.CA()
    ca_file, certificate = directory / "ca.pem", directory / "provider.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    authority.issue_cert("provider.test").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with contextlib.ExitStack() as stack:
        provider = TlsProvider(certificate)
        stack.callback(provider.close)
        secure, plain = Elsewhere(authority), Elsewhere(None)
        stack.callback(secure.close)
        stack.callback(plain.close)
        yield Office(authority, ca_file, provider, secure, plain)


def leaks(world: World, secrets: tuple[bytes, ...] = SECRETS) -> list[str]:
    """Name whatever of a gateway shows the proxy's credential: its pages now, its files and output."""
    gateway = world.gateway
    token = {"authorization": f"Bearer {gateway.runtime['token']}"}
    with httpx2.Client(base_url=f"http://{gateway.runtime['page']}", headers=token, trust_env=False) as client:
        paths = ["/api/flows?limit=200", "/api/health", *(f"/api/flows/{row['id']}" for row in gateway.flows())]
        shown = {path: client.get(path).content for path in paths}
    for file in gateway.directory.rglob("*"):
        if file.is_file() and file != gateway.config:
            shown[str(file)] = file.read_bytes()
    return [name for name, data in shown.items() if any(secret in data for secret in secrets)]


async def ask_for_tunnel(
    gateway: GatewayProcess, target: str
) -> tuple[int, dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter]:
    """Send CONNECT; give status and, of a refusal, the JSON body."""
    reader, writer = await plain(gateway)
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
    status = int(head.split(b" ", 2)[1])
    body: dict[str, Any] = {}
    if status != 200:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = json.loads(await asyncio.wait_for(reader.readexactly(length), 5))
    return status, body, reader, writer


def name_of(writer: asyncio.StreamWriter) -> str:
    """Give the app's end of a connection, as rows name it."""
    return "{}:{}".format(*writer.get_extra_info("sockname")[:2])
