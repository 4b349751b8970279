"""What mitmproxy's own UIs must not show: the app's credentials.

A finished call is shown from a copy whose secrets are struck out (`covered`). A request that mitmproxy itself carries
is the very object that its UI shows and edits, so its secrets are replaced by stand-ins when it comes in, and put back
on a copy that goes on the wire (`Veil`, `VeiledHttp`): no page, no saved file and no script sees them meanwhile.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable

from mitmproxy import http
from mitmproxy.net import encoding
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, HttpStream
from mitmproxy.proxy.layers.http._events import RequestHeaders, ResponseHeaders

from gateway.excerpt import unpacked
from gateway.model.call import Headers
from gateway.record.redact import STRUCK, kept_headers, kept_target, pieces, scrub

UNPACKED_BYTES = 1_048_576
"""A tiny packed body may hold gigabytes."""

PIECE_CHARS = 2048
REMEMBERED = 1000
"""Secrets behind stand-ins. An app has one or two."""

_SCHEMED = frozenset({b"authorization", b"proxy-authorization"})
_HARMLESS = frozenset(
    {b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-accept", b"www-authenticate"}
)
"""What the record has no use for, and whoever looks at a connection has."""

_STAND_IN = re.compile(rb"(?:\[|%5[Bb])redacted-([0-9a-f]{16})(?:\]|%5[Dd])")
_SIGNS = (
    *("bearer", "basic", "key=", "token=", "sig=", "signature=", "secret=", "password=", "passwd=", "eyj", "whsec"),
    *('key"', 'authorization"', 'cookie"', 'password"', 'token"', 'secret"', "xox", "aiza", "akia", "asia", "ya29."),
    *("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "ak-", "ak_", "sess-", "sess_", "org-", "org_", "proj-", "proj_"),
    *("xai-", "pplx-", "gsk_", "hf_", "r8_", "nvapi-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-"),
)
"""One of these, or ``://`` and ``@``, stands in whatever `scrub` would strike (in lower case)."""


def covered(headers: Headers) -> Headers:
    """Give all headers, with the value struck out wherever the record would not keep it."""
    return tuple((name, _cover(name, value, lambda _secret: STRUCK.encode())) for name, value in headers)


def _cover(name: bytes, value: bytes, stand_in: Callable[[bytes], bytes]) -> bytes:
    low = name.lower()
    kept = kept_headers(((low, value),))
    if kept and kept[0][1].encode("latin-1") == value:
        return value
    if low in _HARMLESS and scrub(value.decode("latin-1")).encode("latin-1") == value:
        return value
    scheme, space, _ = value.partition(b" ")
    front = scheme + b" " if low in _SCHEMED and space else b""
    return front + stand_in(value[len(front) :])


class Veil:
    """Stand-ins for secrets, and the way back."""

    def __init__(self) -> None:
        self._real: OrderedDict[bytes, bytes] = OrderedDict()
        self._shown: dict[bytes, bytes] = {}

    def cover(self, message: http.Request | http.Response) -> None:
        """Put stand-ins in place of the secrets of a message's headers, and of a request's query."""
        message.headers.fields = tuple((n, _cover(n, v, self._stand_in)) for n, v in message.headers.fields)
        if isinstance(message, http.Request):
            path, mark, query = message.data.path.partition(b"?")
            if mark:
                message.data.path = path + mark + b"&".join(self._pair(pair) for pair in query.split(b"&"))

    def _pair(self, pair: bytes) -> bytes:
        if kept_target(b"?" + pair)[1:].encode("latin-1", "replace") == pair:
            return pair
        name, mark, value = pair.partition(b"=")
        return name + mark + self._stand_in(value) if mark else self._stand_in(name)

    def strike(self, text: str) -> str:
        """Give a text without what has a stand-in, and without whatever else is shaped like a credential."""
        return scrub(text, tuple(secret.decode("latin-1") for secret in self._real.values()))

    def lift(self, data: bytes) -> bytes:
        """Give back what was there."""
        return _STAND_IN.sub(lambda found: self._real.get(found[1], found[0]), data)

    def lifted[M: (http.Request, http.Response)](self, message: M) -> M:
        """Give the message as it goes on the wire: itself when nothing was covered."""
        fields = tuple((name, self.lift(value)) for name, value in message.headers.fields)
        target = self.lift(message.data.path) if isinstance(message, http.Request) else b""
        same_target = not isinstance(message, http.Request) or target == message.data.path
        if fields == message.headers.fields and same_target:
            return message
        sent: M = message.copy()
        sent.headers.fields = fields
        if isinstance(sent, http.Request):
            sent.data.path = target
        return sent

    def _stand_in(self, secret: bytes) -> bytes:
        name = self._shown.get(secret)
        if name is None:
            name = secrets.token_hex(8).encode()
            self._shown[secret] = name
            self._real[name] = secret
            if len(self._real) > REMEMBERED:
                self._shown.pop(self._real.popitem(last=False)[1], None)
        else:
            self._real.move_to_end(name)
        return b"[redacted-%b]" % name


class VeiledHttp(HttpLayer):
    """mitmproxy's HTTP (12.2), with the secrets put back where a message leaves it for a connection."""

    def __init__(self, veil: Veil, context: Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self._veil = veil

    def event_to_child(self, child: layer.Layer | HttpStream, event: events.Event) -> layer.CommandGenerator[None]:
        """Pass an event on."""
        if not isinstance(child, HttpStream):
            if isinstance(event, RequestHeaders):
                sent = self._veil.lifted(event.request)
                event = RequestHeaders(event.stream_id, sent, event.end_stream, event.replay_flow)
            elif isinstance(event, ResponseHeaders):
                event = ResponseHeaders(event.stream_id, self._veil.lifted(event.response), event.end_stream)
        yield from super().event_to_child(child, event)


def covered_body(body: bytes, coding: str, own: tuple[str, ...], *, whole: bool) -> bytes:
    """Give a body without credentials, packed as it was, so that the headers beside it stay true.

    Args:
        coding: Of content-encoding, in lower case; empty or ``identity`` when it is not packed.
        own: The call's own credentials.
        whole: It is not the first part only; a packed one that was cut cannot be read without packing it again.
    """
    if coding in {"", "identity"}:
        return _struck(body, own)
    found = unpacked(body, coding, UNPACKED_BYTES)
    if found is None:
        return b"[whygate cannot look into %b, so it is not shown]" % coding.encode("latin-1", "replace")
    text, all_of_it = found
    struck = _struck(text, own)
    if whole and all_of_it and struck == text:
        return body
    return encoding.encode(struck, "gzip" if coding == "x-gzip" else coding)


def _struck(body: bytes, own: tuple[str, ...]) -> bytes:
    for secret in own:
        body = body.replace(secret.encode("latin-1"), STRUCK.encode())
    if b"\0" in body[:1024]:
        return body  # sound or an image
    text = body.decode("utf-8", "surrogateescape")
    struck = "".join(scrub(piece) if _is_suspect(piece) else piece for piece in pieces(text, PIECE_CHARS))
    return body if struck == text else struck.encode("utf-8", "surrogateescape")


def _is_suspect(piece: str) -> bool:
    """Whether a piece may hold a credential; `scrub` takes a hundred times as long to say so."""
    low = piece.lower()
    return any(sign in low for sign in _SIGNS) or ("://" in low and "@" in low)
