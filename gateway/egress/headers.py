"""Which headers go on, in both directions (RFC 9110 section 7.6.1). Pure."""

from gateway.model.call import Call, Headers, Mode, Origin

_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_OURS = b"x-whygate-"
_REQUEST_ONLY = frozenset({b"expect", b"host", b"content-length"})
_NOT_COPIED = _HOP | _REQUEST_ONLY


def request_headers(
    call: Call,
    upstream: Origin,
    *,
    chunked: bool = False,
    hop: tuple[bytes, bytes] | None = None,
    upgrade: bool = False,
) -> Headers:
    """Give the headers of the request as it goes out, in their order, Host where it stood.

    Args:
        chunked: The body goes out in chunks; else its length is stated when there is one to state.
        hop: A mark against circles, or None.
        upgrade: It asks for a WebSocket, so the two headers that say so go on (RFC 6455 section 4.1).
    """
    named = _named_in_connection(call.headers)
    same_host = call.mode is Mode.PROXY and upstream == call.origin
    out: list[tuple[bytes, bytes]] = []
    host_written = length_written = False
    for name, value in call.headers:
        if name == b"host" and not host_written:  # the guard looked at the last of several, so that one counts
            out.append((name, call.index[name] if same_host else _authority(upstream)))
            host_written = True
        elif name == b"content-length" and not chunked:
            out.append((name, value))
            length_written = True
        elif name not in _NOT_COPIED and name not in named and not name.startswith(_OURS):
            out.append((name, value))
    if not host_written:
        out.insert(0, (b"host", _authority(upstream)))
    if chunked:
        out.append((b"transfer-encoding", b"chunked"))
    elif not length_written and (call.body or b"transfer-encoding" in call.index):
        out.append((b"content-length", b"%d" % len(call.body)))
    if upgrade:
        out += ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
    if hop is not None:
        out.append(hop)
    return tuple(out)


def response_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Give the headers of the answer as they go on; nothing from upstream can set ours."""
    named = _named_in_connection(headers)
    return [
        (name, value)
        for name, value in headers
        if name not in _HOP and name not in named and not name.startswith(_OURS)
    ]


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    for name, _ in headers:
        if name == b"connection":
            tokens = b",".join(value for key, value in headers if key == b"connection").split(b",")
            return frozenset(token.strip().lower() for token in tokens) - _REQUEST_ONLY - {b"authorization"}
    return frozenset()


def _authority(origin: Origin) -> bytes:
    return str(origin).partition("://")[2].encode()
