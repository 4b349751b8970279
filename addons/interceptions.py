"""Requests that mitmproxy carries: of clients that speak HTTP/2 alone, and of routes that the user edits.

They reach the provider and have a row and a verdict. What the path does besides (pacing, retrying, the cache) is not
done for them. So a tenant whose calls have to be counted or bounded cannot use this way.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from weakref import WeakKeyDictionary

from mitmproxy import connection
from mitmproxy.http import HTTPFlow, Response
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from gateway.asgi import new_id
from gateway.excerpt import MAX_BYTES
from gateway.identify.guard import hop_mark, refusal
from gateway.identify.locate import Place
from gateway.model.call import Call, Headers, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Provider
from gateway.model.tenant import DEFAULT

_NOT_SENT_ON = ("proxy-connection", "proxy-authorization")
_OURS = "x-whygate-"
_GIVEN_UP = "stream reset by client"
"""So mitmproxy (12.2) names the end of one request of HTTP/2 whose connection goes on."""
_NOT_COUNTED = (
    "a client that speaks HTTP/2 alone cannot be used by a tenant with a budget, limits, a key or a list of what is"
    " allowed, because its calls are not counted. Use one that also speaks HTTP/1.1, or a base URL."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intercepted:
    """One request and its answer, when it is over.

    Attributes:
        id: The flow's in mitmproxy's UIs as in the record.
        provider: None when it was for none.
        target: Path and query, as sent on.
        headers: Of the answer; empty when none came.
        body: The start of the answer's body; empty where a good one was streamed.
        refused: Why we did not carry it; None where we did.
        client_left: The app gave it up, or closed its connection, before it was over.
    """

    id: str
    client: str
    host: str
    provider: Provider | None
    method: str
    target: str
    started_at: float
    seconds: float
    status: int | None
    headers: Headers
    body: bytes
    failure: NetFailure | None
    tenant: str = DEFAULT
    refused: Refuse | None = None
    client_left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was known of a connection when it was handed over.

    Attributes:
        place: Where the request of an edited route goes; None for clients of HTTP/2 alone.
        origin: Whom CONNECT asked for; None without it.
        signed_in: It presented the listener's credential.
        sni: As in `Call`.
    """

    tenant: str = DEFAULT
    place: Place | None = None
    origin: Origin | None = None
    by_base_url: bool = False
    signed_in: bool = False
    sni: str = ""


_NOTHING = Asked()


class Interceptions:
    """The addon.

    Args:
        place: Says where a request to a provider goes.
        ended: Told of each request once, when it is over.
        http: Makes the layer that speaks HTTP, where that is not mitmproxy's own.
        may_carry: Whether a tenant may use this way.
        instance: Marks what goes to this machine, so that a circle is seen.
    """

    name = "interceptions"

    def __init__(
        self,
        place: Callable[[Origin | None, bytes], Place | None],
        ended: Callable[[Intercepted], None],
        http: Callable[[Context, HTTPMode], HttpLayer] | None = None,
        may_carry: Callable[[str], bool] = lambda _tenant: True,
        instance: str = "",
    ) -> None:
        self._mark = instance
        self._place, self._ended, self._http, self.may_carry = place, ended, http or HttpLayer, may_carry
        self._asked: dict[str, Asked] = {}
        self._running: dict[str, set[HTTPFlow]] = {}  # by client; mitmproxy tells the end of some after it, or never
        self._refused: WeakKeyDictionary[HTTPFlow, Refuse] = WeakKeyDictionary()
        self._providers: WeakKeyDictionary[HTTPFlow, Provider] = WeakKeyDictionary()
        self._starts: WeakKeyDictionary[HTTPFlow, bytearray] = WeakKeyDictionary()
        self._failures: dict[str, NetFailure] = {}

    def begun(self, client_id: str, asked: Asked) -> None:
        """Remember who asks, and where the request of an edited route goes."""
        self._asked[client_id] = asked

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Speak HTTP behind the TLS of a client that was handed over."""
        if nextlayer.layer is None:
            nextlayer.layer = self.speak_http(nextlayer.context)

    def speak_http(self, context: Context) -> HttpLayer:
        """Give the layer for requests from here on."""
        return self._http(context, HTTPMode.transparent)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Send it where the same request would go by the lane; stream what nobody edits."""
        flow.id = new_id(flow.request.timestamp_start)
        self._running.setdefault(flow.client_conn.id, set()).add(flow)
        request, known = flow.request, self._asked.get(flow.client_conn.id, _NOTHING)
        asked = Origin(request.scheme, request.host, request.port)
        place = known.place or self._place(asked, request.path.encode("utf-8", "surrogateescape"))
        if place is None:
            body = b'{"error":{"message":"whygate: no provider is known for this host","code":"request.invalid_url"}}'
            flow.response = Response.make(404, body, {"content-type": "application/json"})
            return
        self._providers[flow] = place.provider
        refused = next(filter(None, (refusal(call, self._mark) for call in _calls(flow, known, asked))), None)
        if refused is None and not self.may_carry(known.tenant):
            refused = Refuse(cause=Cause.PROXY_NOT_ALLOWED, status=403, why=_NOT_COUNTED)
        if refused is not None:
            self._refused[flow] = refused
            body = place.provider.write_error(refused.status, refused.cause.value, f"whygate: {refused.why}")
            headers = {"content-type": "application/json", "x-whygate-cause": refused.cause.value}
            flow.response = Response.make(refused.status, body, headers | {"x-should-retry": "false"})
            return
        hop = hop_mark(next(_calls(flow, known, asked)), place.upstream, self._mark)
        # Also where this is the same: setting it sets Host, which by a base URL names this gateway.
        request.scheme, request.host, request.port = place.upstream
        request.path = place.target.decode("utf-8", "surrogateescape")
        for name in [n for n in request.headers if n.lower() in _NOT_SENT_ON or n.lower().startswith(_OURS)]:
            del request.headers[name]
        if hop is not None and place.upstream.scheme == "http":  # as every gateway is asked
            request.headers[hop[0].decode()] = hop[1].decode("latin-1")
        request.stream = known.place is None

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Stream the answer, or let the user edit it: then the next call comes by the lane again."""
        assert flow.response is not None
        edited = self._asked.get(flow.client_conn.id, _NOTHING).place is not None
        failed = flow.response.status_code >= HTTPStatus.BAD_REQUEST
        flow.response.stream = self._keeping(flow) if failed and not edited else not edited
        if edited:
            flow.response.headers["connection"] = "close"

    def response(self, flow: HTTPFlow) -> None:
        """Record it."""
        if self._is_new(flow) and flow.websocket is None:
            self._report(flow)

    def error(self, flow: HTTPFlow) -> None:
        """Record what could not be carried."""
        if not self._is_new(flow):
            return
        client, words = flow.client_conn, flow.error.msg if flow.error else ""
        if words.startswith(_GIVEN_UP) or not client.state & connection.ConnectionState.CAN_READ:
            self._report(flow, client_left=True)
            return
        unknown = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.CONNECTION_RESET, detail=words, sent=True)
        self._report(flow, self._failures.pop(client.id, unknown))

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Remember why the far side was not reached; the flow's error follows."""
        code, _, detail = (data.server.error or "").partition(": ")
        if code in set(NetCode):
            failure = NetFailure(phase=Phase.CONNECT, code=NetCode(code), detail=detail, sent=False)
            self._failures[data.client.id] = failure

    def _keeping(self, flow: HTTPFlow) -> Callable[[bytes], bytes]:
        """Give what lets a failed answer pass and keeps its start, which most often says why."""
        kept = self._starts[flow] = bytearray()

        def keep(data: bytes) -> bytes:
            kept.extend(data[: MAX_BYTES - len(kept)])
            return data

        return keep

    def client_disconnected(self, client: connection.Client) -> None:
        """Record what it did not wait for, and forget it."""
        for flow in sorted(self._running.pop(client.id, ()), key=lambda one: one.id):
            self._report(flow, client_left=True)
        self._asked.pop(client.id, None)
        self._failures.pop(client.id, None)

    def _is_new(self, flow: HTTPFlow) -> bool:
        """Whether this is the first that is heard of a request's end."""
        client_id = flow.client_conn.id
        running = self._running.get(client_id, set())
        if flow not in running:
            return False
        running.remove(flow)
        if not running:
            del self._running[client_id]
        return True

    def _report(self, flow: HTTPFlow, failure: NetFailure | None = None, *, client_left: bool = False) -> None:
        peer, answer = flow.client_conn.peername, flow.response
        started = flow.request.timestamp_start
        self._ended(
            Intercepted(
                id=flow.id,
                client=f"{peer[0]}:{peer[1]}",
                host=flow.request.host,
                provider=self._providers.get(flow),
                method=flow.request.method,
                target=flow.request.path,
                started_at=started,
                seconds=max(0.0, time.time() - started),
                status=answer.status_code if answer else None,
                headers=tuple((n.lower(), v) for n, v in answer.headers.fields) if answer else (),
                body=bytes(self._starts.pop(flow, b"")) or ((answer.raw_content or b"")[:MAX_BYTES] if answer else b""),
                failure=failure,
                tenant=self._asked.get(flow.client_conn.id, _NOTHING).tenant,
                refused=self._refused.get(flow),
                client_left=client_left,
            )
        )


def _calls(flow: HTTPFlow, known: Asked, asked: Origin) -> Iterator[Call]:
    """Give the request as the lane would see it, once for every name that it gives the host."""
    request, fields = flow.request, tuple((name.lower(), value) for name, value in flow.request.headers.fields)
    rest = tuple(field for field in fields if field[0] != b"host")
    names = [value for name, value in fields if name == b"host"]
    if request.is_http2 and request.authority:
        names.insert(0, request.authority.encode("utf-8", "surrogateescape"))
    if known.origin is None and not known.by_base_url:
        names = []  # a whole URL: its authority counts, whatever Host says
    for name in names or [b""]:
        yield Call(
            id=flow.id,
            arrived_at=request.timestamp_start,
            arrived=0.0,
            client="",
            mode=Mode.BASE_URL if known.by_base_url else Mode.PROXY,
            method=request.method,
            origin=known.origin or asked,
            target=request.path.encode("utf-8", "surrogateescape"),
            headers=((b"host", name), *rest),
            body=b"",
            signed_in=known.signed_in,
            tenant=known.tenant,
            sni=known.sni,
        )
