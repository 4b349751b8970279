"""Where a connection belongs, by its first bytes: the lane or a tunnel."""

import asyncio
from typing import Any, cast

import pytest

from addons.entrance import Entrance
from addons.front import Front
from addons.lanes import Lanes
from gateway.identify.credential import Credentials

PROVIDERS = frozenset({"api.openai.com:443", "api.anthropic.com:443", "llm.corp.example:8443"})

TUNNELLED = [
    "CONNECT api.openai.com:80",
    "CONNECT api.openai.com:8443",
    "CONNECT api.anthropic.com:80",
    "CONNECT openai.com:443",
    "CONNECT chatgpt.com:443",
    "CONNECT auth.openai.com:443",
    "CONNECT platform.openai.com:443",
    "CONNECT files.oaiusercontent.com:443",
    "CONNECT cdn.oaistatic.com:443",
    "CONNECT chat.openai.com:443",
    "CONNECT status.openai.com:443",
    "CONNECT claude.ai:443",
    "CONNECT console.anthropic.com:443",
    "CONNECT api.openai.com.evil.example:443",
    "CONNECT evil-api.openai.com:443",
    "CONNECT xapi.openai.com:443",
    "CONNECT api.openai.co:443",
    "CONNECT llm.corp.example:443",
    "CONNECT github.com:443",
    "CONNECT github.com:22",
    "CONNECT packages.example:443",
    "CONNECT registry.example:443",
    "CONNECT huggingface.co:443",
    "CONNECT login.microsoftonline.com:443",
    "CONNECT register.appattest.apple.com:443",
    "CONNECT data.appattest.apple.com:443",
    "CONNECT chatgpt.livekit.cloud:443",
    "CONNECT 1.2.3.4:443",
    "CONNECT 127.0.0.1:443",
    "CONNECT [::1]:443",
    "CONNECT [2001:db8::1]:8443",
    "CONNECT localhost:5432",
    "CONNECT xn--bcher-kva.example:443",
]

TO_LANE = [
    "GET /openai/v1/models",
    "POST /anthropic/v1/messages",
    "GET /",
    "GET http://api.openai.com/v1/models",
    "GET https://api.openai.com/v1/models",
    "OPTIONS *",
    "CONNECT nonsense",
    "CONNECT api.openai.com:0",
    "CONNECT api.openai.com:70000",
    "GET http://example.com/",
    "POST http://example.com:8080/v1/chat/completions",
    "GET http://127.0.0.1:9/health",
    "GET http://[::1]:9/",
    "OPTIONS http://intranet/",
    "GET http://api.openai.com.evil.example/v1/models",
    "PROPFIND http://dav.example/x",
    "GET http://example.com?x=/v1/",
]


class _Tunnels:
    def begin(  # noqa: PLR0917
        self, app: asyncio.Transport, client: str, host: str, port: int, early: Any, tenant: str, hops: Any
    ) -> None:
        assert (tenant, hops) == ("default", ())
        app.write(f"tunnel to {host}:{port}".encode() + early())


class _Front(Front):
    def _to_lane(self) -> None:
        self._settle()
        self._transport.set_protocol(asyncio.Protocol())
        self._transport.write(b"lane")


async def _answer(head: str) -> bytes:
    lanes = object.__new__(Lanes)
    lanes.is_provider = lambda host, port: f"{host}:{port}" in PROVIDERS
    lanes.entrance = Entrance(Credentials({}), lambda _origin, _target: None)
    lanes.tunnels = cast("Any", _Tunnels())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Front(cast("Any", None), lanes), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    for byte in f"{head} HTTP/1.1\r\nHost: x\r\n\r\n".encode():  # one at a time: the decision may not depend on pieces
        writer.write(bytes((byte,)))
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(reader.read(100), 5)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return answer


@pytest.mark.parametrize("head", TUNNELLED)
async def test_what_is_no_provider_is_tunnelled(head: str) -> None:
    host = head.partition(" ")[2].replace("[", "").replace("]", "")
    assert (await _answer(head)).decode() == f"tunnel to {host}"


@pytest.mark.parametrize("head", TO_LANE)
async def test_base_urls_whole_urls_and_nonsense_take_the_lane(head: str) -> None:
    assert await _answer(head) == b"lane"
