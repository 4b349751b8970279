"""WebSockets of an app: the real client library, by proxy and by base URL."""

import itertools
import json
import os
import ssl
import threading
from dataclasses import dataclass, field
from socket import SHUT_RDWR
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.e2e.world import MIB, new_key
from tests.running import GatewayProcess

Way = Literal["proxy", "base URL"]
_numbers = itertools.count(1)
PATIENCE_SECONDS = 10


def new_model(script: str) -> str:
    """Give a model's name that no other WebSocket has; its start says what `Scripted` shall do."""
    return f"{script}/{next(_numbers)}.{os.getpid()}"


def realtime(
    gateway: GatewayProcess, way: Way = "proxy", *, base: str = "openai", model: str = "gpt-realtime", **options: Any
) -> websockets.connect:
    """Give the client's connector for a realtime session; what it is not told it has a default for."""
    path = f"/v1/realtime?model={model}"
    headers = {"authorization": f"Bearer {new_key()}"} | options.pop("headers", {})
    common: dict[str, Any] = {"additional_headers": headers, "open_timeout": 15, "close_timeout": 5} | options
    if way == "proxy":
        trusting = ssl.create_default_context(cafile=str(gateway.ca))
        return websockets.connect(f"wss://api.openai.com{path}", proxy=gateway.proxy, ssl=trusting, **common)
    return websockets.connect(f"ws://127.0.0.1:{gateway.port}/{base}{path}", proxy=None, **common)


async def converse(socket: ClientConnection, prompt: str) -> tuple[str, list[str]]:
    """Ask for an answer in text; give it, and the types of all events until it was whole."""
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": said}))
    await socket.send(json.dumps({"type": "response.create"}))
    text, kinds = "", []
    async for message in socket:
        event = json.loads(message)
        kinds.append(event["type"])
        if event["type"] == "response.output_text.delta":
            text += event["delta"]
        if event["type"] == "response.done":
            break
    return text, kinds


def client_of(socket: ClientConnection) -> str:
    """Give the app's end of a connection, as rows name it."""
    return "{}:{}".format(*socket.transport.get_extra_info("sockname")[:2])


@dataclass
class Visit:
    """One WebSocket as the provider saw it: what came, and how it ended."""

    model: str
    headers: dict[str, str]
    compressed: bool
    messages: list[str | bytes] = field(default_factory=list)
    pings_answered: int = 0
    end: tuple[int, str] | None = None


class Scripted:
    """A provider of WebSockets with the real server library. What it does, the model's name says.

    ``echo`` sends everything back; ``ping`` asks whether the app is there, then says so; ``close-N`` closes with N;
    ``cut`` breaks the connection after one message; ``refuse`` answers 401; ``silent`` never answers the upgrade.
    """

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self._over = threading.Event()
        self.upgrading = 0
        self._server = serve(
            self._serve, "127.0.0.1", 0, process_request=self._admit, max_size=4 * MIB, ping_interval=None,
        )  # fmt: skip
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join(5)

    def visit(self, model: str) -> Visit:
        """Wait for the end of a visit."""
        return GatewayProcess.until(
            lambda: next((one for one in self.visits if one.model == model and one.end is not None), None)
        )

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        model = _model(request)
        if model.startswith("silent"):
            self.upgrading += 1
            self._over.wait(20)
            return None
        if not model.startswith("refuse"):
            return None
        body = json.dumps(
            {"error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}}
        )
        headers = Headers(
            {"content-type": "application/json", "x-request-id": "req_1", "content-length": str(len(body))}
        )
        return Response(401, "Unauthorized", headers, body.encode())

    def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
        visit = Visit(_model(socket.request), headers, bool(socket.protocol.extensions))
        self.visits.append(visit)
        try:
            self._play(socket, visit)
        except ConnectionClosed:
            pass
        finally:
            socket.close_timeout = 2
            socket.close()
            visit.end = (socket.close_code or 0, socket.close_reason or "")

    def _play(self, socket: ServerConnection, visit: Visit) -> None:
        script = visit.model.split("/")[0]
        if script == "ping":
            visit.pings_answered += socket.ping().wait(5)
            socket.send("you are there")
        for message in socket:
            visit.messages.append(message)
            if script == "cut":
                socket.socket.shutdown(SHUT_RDWR)
                return
            if script.startswith("close-"):
                socket.close(int(script.partition("-")[2]), "enough")
                return
            socket.send(message)


def _model(request: Request) -> str:
    return parse_qs(urlsplit(request.path).query).get("model", [""])[0]
