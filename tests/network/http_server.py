"""HTTP/1.1 on one connection: the requests, the faults above TLS, the answers."""

import asyncio
import base64
import contextlib
import hashlib
import socket
import time
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from tests.network import pages
from tests.network.dns_server import Told
from tests.network.faults import Fault
from tests.network.messages import Reply, Request
from tests.network.sites import Sites

KEPT_BYTES = 64 * 1024
FOREVER_SECONDS = 120.0
"""Longer than any test waits; the world ends before."""

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


class Place(NamedTuple):
    """Which door a connection came through.

    Args:
        scheme: ``http`` or ``https``.
        name: What the ClientHello named, or whose address it is.
        address: The server's.
        sites: Names that are served here, and what answers for them.
        site: What answers for other names.
        cloudflare: Whether Cloudflare's header fields are put on answers.
        direct: Whether the connection does not come from the company's proxy.
    """

    scheme: str
    name: str
    address: str
    port: int
    sites: dict[str, str]
    site: str
    cloudflare: bool
    direct: bool


class Web:
    """What all connections share.

    Args:
        faults: What is wrong; those of HTTP count.
        tell: The ledger.
    """

    def __init__(self, sites: Sites, faults: Sequence[Fault], tell: Told) -> None:
        self.sites, self.tell = sites, tell
        self.faults = [fault for fault in faults if fault.layer == "http"]


class Connection:
    """One connection, from its first request to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place, world: Web) -> None:
        self._reader, self._writer, self._place, self._world = reader, writer, place, world
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=KEPT_BYTES)

    async def serve(self) -> None:
        """Answer until either side has enough."""
        with contextlib.suppress(OSError, h11.ProtocolError, asyncio.IncompleteReadError):
            while (request := await self._request()) is not None:
                self._world.tell(request.host, f"{request.method} {request.target}", {
                    "scheme": request.scheme, "at": f"{request.address}:{request.port}", "headers": request.headers, "body_bytes": request.body_bytes,
                })  # fmt: skip
                if not await self._answer(request):
                    return
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(65_536))
        return event

    async def _request(self) -> Request | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        place = self._place
        host = urlsplit(f"//{headers.get('host', '')}").hostname or place.name
        made = Request(
            place.scheme, host, place.sites.get(host, place.site), place.address, place.port,
            head.method.decode(), head.target.decode("latin-1"), headers,
        )  # fmt: skip
        body, size = b"", 0
        limit = self._fault("unread", made)
        while isinstance(event := await self._event(), h11.Data):
            size += len(event.data)
            body += bytes(event.data)[: KEPT_BYTES - len(body)]
            if limit and size >= limit.more["count_bytes"]:
                await asyncio.sleep(FOREVER_SECONDS)
        return Request(**(vars(made) | {"body": body, "body_bytes": size}))

    def _fault(self, kinds: str, request: Request) -> Fault | None:
        targets = [request.host, request.address, *([self._place.name] if request.host == request.address else [])]
        for fault in self._world.faults:
            path = str(fault.more.get("path", ""))
            if fault.kind not in kinds.split() or not request.target.startswith(path):
                continue
            if fault.fits(targets, request.port, direct=self._place.direct):
                return fault
        return None

    async def _answer(self, request: Request) -> bool:
        """Answer one request; False when the connection is over."""
        if request.upgrades:
            return await self._upgrade(request)
        if request.scheme == "http" and (fault := self._fault("portal", request)):
            status, headers, body = pages.PORTALS[fault.more["vendor"]]
            return await self._reply(request, Reply(status, body.encode(), {"content-type": "text/html", **headers}))
        fault = self._fault("answer silence reset blocked", request)
        if fault is None:
            return await self._reply(request, self._world.sites.answer(request))
        if fault.kind == "silence":
            await asyncio.sleep(FOREVER_SECONDS)
        if fault.kind == "reset":
            reset(self._writer)
            return False
        more = fault.more
        if fault.kind == "blocked":
            status, headers, body = pages.BLOCKED[more["vendor"]]
            return await self._reply(request, Reply(status, body.encode(), {"content-type": "text/html", **headers}))
        return await self._reply(
            request, Reply(more["status"], more["body"].encode(), more["headers"], edge=more["edge"])
        )

    async def _reply(self, request: Request, reply: Reply) -> bool:
        await asyncio.sleep(reply.after_seconds)
        headers = [("date", formatdate(self._now(request), usegmt=True)), *reply.headers.items()]
        if reply.edge and self._place.cloudflare:
            headers += [("server", "cloudflare"), ("cf-ray", "8f0a1b2c3d4e5f60-FRA"), ("cf-cache-status", "DYNAMIC")]
        headers = [pair for at, pair in enumerate(headers) if pair[0] not in {name for name, _ in headers[:at]}]
        if reply.status != 204:
            headers.append(("content-length", str(len(reply.body))))
        self._send(
            h11.Response(status_code=reply.status, headers=headers, reason=HTTPStatus(reply.status).phrase.encode())
        )
        await self._writer.drain()
        held = self._fault("held", request)
        await asyncio.sleep(float(held.more["seconds"]) if held else reply.body_after_seconds)
        if reply.body and request.method != "HEAD":
            self._send(h11.Data(data=reply.body))
        self._send(h11.EndOfMessage())
        await self._writer.drain()
        return True

    def _now(self, request: Request) -> float:
        off = self._fault("date", request)
        return time.time() + (float(off.more["seconds"]) if off else 0.0)

    async def _upgrade(self, request: Request) -> bool:
        fault = self._fault("upgrade-swallowed upgrade-refused upgrade-accepted", request)
        kind = fault.kind.removeprefix("upgrade-") if fault else ""
        if kind == "swallowed":
            await asyncio.sleep(FOREVER_SECONDS)
        if kind == "refused":
            page = b"<html><title>403 Forbidden</title><h1>Protocol not allowed</h1></html>"
            return await self._reply(request, Reply(403, page, {"content-type": "text/html"}))
        if kind != "accepted":
            return await self._reply(request, self._world.sites.answer(request))
        key = request.headers.get("sec-websocket-key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID).digest()).decode()
        headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept)]
        self._send(h11.InformationalResponse(status_code=101, headers=headers))
        await self._writer.drain()
        await self._reader.read(65_536)
        self._writer.write(b"\x88\x02\x03\xe8")  # whatever it says, goodbye (RFC 6455 section 7.4.1: 1000)
        await self._writer.drain()
        return False

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
