"""A provider on loopback, its certificate included, and what probes see of it."""

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import trustme

from gateway.doctor.asking import target_of
from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.wire import Answer
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.openai import PROVIDER as OPENAI

JSON = (b"content-type", b"application/json")
HTML = (b"content-type", b"text/html")
EDGE = ((b"server", b"cloudflare"), (b"cf-ray", b"8c1f2a3b4c5d6e7f-FRA"))
NO_KEY = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth"
KEY = "sk-proj-abcDEF1234567890ghiJKL"


def problem(message: str, code: str | None = None, kind: str = "invalid_request_error") -> str:
    """An error in OpenAI's shape."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).decode()


def answered(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(address="127.0.0.1", status=status, text=text, headers=headers or (JSON, *EDGE), first_byte_ms=31.0)


def unanswered(code: NetCode, phase: Phase, detail: str = "no answer") -> Answer:
    return Answer(
        failure=NetFailure(code=code, phase=phase, detail=detail, sent=phase in {Phase.FIRST_BYTE, Phase.BODY})
    )


RIGHT = answered(401, problem(NO_KEY))
ANTHROPIC_RIGHT = answered(
    401, '{"type":"error","error":{"type":"authentication_error","message":"x-api-key header is required"}}'
)


def openai(**more: Any) -> Target:
    return replace(target_of(OPENAI, {}), key_variable="OPENAI_API_KEY", **more)


def a_case(target: Target | None = None, *, other: bool = False, **more: Any) -> Case:
    others = (target_of(ANTHROPIC, {}),) if other else ()
    return Case(target=target or openai(), others=others, **more)


class Far:
    """HTTPS servers of the given names, all on one port of loopback, with answers by host and path."""

    def __init__(self, authority: trustme.CA, ca_file: str) -> None:
        self._authority, self.ca_file = authority, ca_file
        self.answers: dict[str, tuple[int, Mapping[str, str], str]] = {}
        self.heads: list[str] = []
        self.silent = False
        self.port = 0

    def on(self, place: str, status: int, body: Any, **headers: str) -> None:
        """Answer this for ``host/path``."""
        text = body if isinstance(body, str) else orjson.dumps(body).decode()
        kind = "application/json" if text.startswith(("{", "[")) else "text/html"
        self.answers[place] = (status, {"content-type": kind} | headers, text)

    def lists(self, *hosts: str, **more: Any) -> Lists:
        return Lists(connect_to={f"{host}:443": f"127.0.0.1:{self.port}" for host in hosts}, **more)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            place = lines["host"] + head.split(" ")[1]
            if self.silent:
                await reader.read()
                return
            status, headers, text = self.answers.get(place, (404, {"content-type": "text/plain"}, "not found"))
            sent = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
            body = text.encode()
            writer.write("\r\n".join([*sent, f"content-length: {len(body)}", "", ""]).encode() + body)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def far(folder: Path, *names: str) -> AsyncIterator[Far]:
    """Serve names over HTTPS with a certificate of an authority that the case trusts."""
    authority = trustme.CA()
    # TLS settings are kept for a while by the name of the file.
    ca_file = folder / f"roots-{secrets.token_hex(4)}.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    there = Far(authority, str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0, ssl=context)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()
