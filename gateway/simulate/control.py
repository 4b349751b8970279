"""The simulator's own routes, under ``/_simulate/``: its ledger, its limits, an echo, and bodies of any shape.

``GET ledger``    counters and rows of what arrived
``GET failures``  the failures that can be asked for
``POST reset``    forgets the ledger, what was used of the limits, and how often a failure was served
``POST limits``   changes the limits of all keys while it runs, as its JSON says, and answers with all of them
``echo``          the request as it arrived
``bytes``         a body of any shape

``limits`` takes any of ``requests_per_second``, ``requests_per_minute``, ``tokens_per_minute``, ``burst``,
``burst_tokens`` and ``concurrency``; ``null`` is off. What was used stays used, as far as the new limit has room, and
a limit that is new, or got or lost its burst, starts unused. Anything else in it is 400, and changes nothing.

``bytes`` understands these query parameters, percent-decoded as latin-1:

``bytes``        length of the body; a repeating pattern of all 256 octets
``framing``      ``length`` (default) or ``chunked``
``encoding``     ``gzip``: the body goes out compressed, and says so
``status``       any from 200 to 599
``header``       ``name:value``; may be repeated, also with one name
``content_type`` instead of ``application/octet-stream``
``sse``          ``small`` or ``big`` (one event of ``bytes`` characters, by default 2 MiB) instead of the pattern
``write_bytes``  size of one write; the default is one write for everything
``interval_ms``  pause between two writes
"""

import gzip
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway.simulate.config import BadLimitError
from gateway.simulate.exchange import BodyTooLargeError, Exchange
from gateway.simulate.failure import known_failures
from gateway.simulate.ledger import Ledger

PREFIX = "/_simulate/"
ECHO = PREFIX + "echo"
BYTES = PREFIX + "bytes"

_JSON = ("content-type", "application/json")
_MAX_BYTES = 64 * 1024 * 1024
_BIG_EVENT_BYTES = 2 * 1024 * 1024
_BODYLESS = frozenset({204, 304})
_SMALL_EVENTS = b'event: one\ndata: {"n":1}\n\n: a comment\n\ndata: {"text":"caf\xc3\xa9"}\r\n\r\ndata: [DONE]\n\n'


type ChangeLimits = Callable[[Mapping[str, Any]], dict[str, int | None]]


async def control(
    exchange: Exchange, ledger: Ledger, reset: Callable[[], None], change_limits: ChangeLimits, max_body_bytes: int
) -> None:
    """Answer one of the simulator's own routes."""
    try:
        await exchange.read_body(max_body_bytes)
    except BodyTooLargeError:
        await _json(exchange, 413, {"error": f"more than {max_body_bytes} bytes"})
        return
    match exchange.method, exchange.path.removeprefix(PREFIX):
        case "GET", "ledger":
            await _json(exchange, 200, ledger.as_json())
        case "GET", "failures":
            await _json(exchange, 200, {"failures": known_failures()})
        case "POST", "reset":
            reset()
            await _json(exchange, 200, {"reset": True})
        case "POST", "limits":
            await _limits(exchange, change_limits)
        case _, "bytes":
            await _bytes(exchange)
        case _, rest if rest == "echo" or rest.startswith("echo/"):
            await _echo(exchange)
        case _:
            await _json(exchange, 404, {"error": f"no such control route: {exchange.method} {exchange.path}"})


async def _json(exchange: Exchange, status: int, data: object) -> None:
    await exchange.answer(status, [_JSON], orjson.dumps(data))


async def _limits(exchange: Exchange, change_limits: ChangeLimits) -> None:
    try:
        wanted = orjson.loads(exchange.body)
    except orjson.JSONDecodeError:
        wanted = None
    if not isinstance(wanted, dict):
        await _json(exchange, 400, {"error": "the body is no JSON object of limits"})
        return
    try:
        limits = change_limits(wanted)
    except BadLimitError as exc:
        await _json(exchange, 400, {"error": str(exc)})
        return
    await _json(exchange, 200, {"limits": limits})


async def _echo(exchange: Exchange) -> None:
    seen = {
        "method": exchange.method,
        "target": exchange.target,
        "headers": exchange.header_list,
        "body_sha256": exchange.body_sha256,
        "body_bytes": exchange.body_bytes,
    }
    await _json(exchange, 200, seen)


async def _bytes(exchange: Exchange) -> None:
    pairs = parse_qsl(exchange.query, keep_blank_values=True, encoding="latin-1")
    options = dict(pairs)
    try:
        status = int(options.get("status", "200"))
        sse = options.get("sse")
        size = int(options.get("bytes", _BIG_EVENT_BYTES if sse == "big" else 0))
        write_bytes = int(options.get("write_bytes", "0"))
        interval_seconds = float(options.get("interval_ms", "0")) / 1_000
        headers = [_header(text) for name, text in pairs if name == "header"]
    except ValueError as exc:
        await _json(exchange, 400, {"error": str(exc)})
        return
    if not (200 <= status <= 599 and 0 <= size <= _MAX_BYTES and write_bytes >= 0):
        await _json(exchange, 400, {"error": "status, bytes or write_bytes is out of bounds"})
        return
    if status in _BODYLESS:
        await exchange.answer(status, headers, b"")
        return
    body = _body(sse, size)
    headers.insert(0, ("content-type", options.get("content_type", _media_type(sse))))
    if options.get("encoding") == "gzip":
        body = gzip.compress(body, mtime=0)
        headers.append(("content-encoding", "gzip"))
    if options.get("framing") != "chunked" and sse is None:
        headers.append(("content-length", str(len(body))))
    await exchange.start(status, headers)
    step = write_bytes or max(len(body), 1)
    for start in range(0, len(body), step):
        if start:
            await exchange.pause(interval_seconds)
        await exchange.write(body[start : start + step])
    await exchange.finish()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not name or not colon:
        message = f"header: {text!r} is not name:value"
        raise ValueError(message)
    return name, value


def _media_type(sse: str | None) -> str:
    return "text/event-stream" if sse else "application/octet-stream"


def _body(sse: str | None, size: int) -> bytes:
    if sse == "big":
        return b"data: " + b"x" * size + b"\n\ndata: [DONE]\n\n"
    if sse:
        return _SMALL_EVENTS
    pattern = bytes(range(256))
    return (pattern * (size // 256 + 1))[:size]
