"""Rows of the log as a HAR 1.2 document, for the network panels of browsers and for whoever supports an API. Pure.

Source: softwareishard.com/blog/har-12-spec (read 2026-11). Fields that the format does not know begin with ``_``, as it
asks for. A call without an answer has status 0 and ``_error``, as Chrome writes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

Row = Mapping[str, Any]
Entry = dict[str, Any]

UNKNOWN = -1
"""What the format wants where a size or a time is not known."""
ASKING = frozenset({"POST", "PUT", "PATCH"})
"""Methods of calls that have a body: none of them in a row was not noted, as by an older version."""
_NO_HOST = "unknown.invalid"
URL_SAFE = "/:@!$&'()*+,;=-._~%?[]"
"""``[`` and ``]`` stay: they stand around what was struck out, and a browser takes them in a query."""
_HOST_SAFE = ":[]-._~"
_OF_OURS = (
    "id", "seq", "state", "kind", "client", "tenant", "key", "provider", "endpoint", "model", "stream", "cause",
    "fault", "precision", "attempts", "queue_ms", "overhead_ms", "ttft_ms", "total_ms", "tokens_in", "tokens_out",
    "tokens_estimated", "cache", "possible_duplicate", "fallback", "shadow", "diagnosis", "body_left_out",
)  # fmt: skip


def document(rows: Iterable[Row], version: str) -> dict[str, Any]:
    """Give the whole document, oldest call first.

    Args:
        rows: As `gateway.model.flow.FlowRow.as_dict` gives them, in any order.
        version: Of whygate.
    """
    ordered = sorted(rows, key=lambda row: (row["started_at"], row["seq"]))
    creator = {"name": "whygate", "version": version}
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": [entry(row) for row in ordered]}}


def entry(row: Row) -> Entry:
    """Give one flow. Its times are the last attempt's; all that went before them counts as ``blocked``."""
    timings = _timings(row)
    told: Entry = {
        "startedDateTime": row["started_at"],
        "time": _time(timings),
        "request": _request(row),
        "response": _response(row),
        "cache": {},
        "timings": timings,
        "_whygate": {name: row[name] for name in _OF_OURS if row.get(name) is not None},
    }
    if row.get("kind") == "websocket":
        told["_resourceType"] = "websocket"
    if row.get("cause"):
        told["comment"] = str((row.get("diagnosis") or {}).get("title") or row["cause"])
    return told


def url_of(row: Row) -> str:
    """Give where a flow went, as a URL of ASCII alone, whatever stands in its path."""
    host = quote(str(row.get("host") or _NO_HOST), safe=_HOST_SAFE)
    local = host.startswith(("127.", "localhost", "[::1]"))
    scheme = ("ws" if local else "wss") if row.get("kind") == "websocket" else ("http" if local else "https")
    path = quote(str(row.get("path") or "/"), safe=URL_SAFE, errors="replace")
    return f"{scheme}://{host}{path if path.startswith('/') else '/' + path}"


def header_of(row: Row, name: str, *, answer: bool = False) -> str:
    """Give the first kept header of this name, empty when there is none. ``name`` is lower case."""
    pairs = row.get("response_headers" if answer else "request_headers") or ()
    return next((str(value) for key, value in pairs if str(key).lower() == name), "")


def _request(row: Row) -> dict[str, Any]:
    url, body = url_of(row), row.get("request_body")
    query = url.partition("?")[2]
    method = str(row.get("method") or ("CONNECT" if row.get("kind") == "tunnel" else "GET"))
    told = {
        "method": method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(row.get("request_headers") or ()),
        "queryString": [
            {"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True, errors="replace")
        ],
        "headersSize": UNKNOWN,
        "bodySize": row.get("request_bytes") or (UNKNOWN if method in ASKING else 0),
    }
    if body is not None:
        told["postData"] = {"mimeType": header_of(row, "content-type") or "x-unknown", "params": [], "text": body}
    return told


def _response(row: Row) -> dict[str, Any]:
    status = row.get("status") or 0
    told: dict[str, Any] = {
        "status": status,
        "statusText": _phrase(status),
        "httpVersion": "HTTP/1.1" if status else "",
        "cookies": [],
        "headers": _headers(row.get("response_headers") or ()),
        "content": _content(row),
        "redirectURL": "",
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN,
    }
    if said := _error(row):
        told["_error"] = said
    return told


def _content(row: Row) -> dict[str, Any]:
    length, body = header_of(row, "content-length", answer=True), row.get("body")
    plain = not header_of(row, "content-encoding", answer=True)
    size = int(length) if plain and length.isascii() and length.isdigit() and len(length) < 16 else UNKNOWN
    kind = header_of(row, "content-type", answer=True) or "x-unknown"
    if body is None:
        return {"size": size if row.get("status") else 0, "mimeType": kind}
    kept = len(body.encode("utf-8", "replace"))
    told = {"size": max(size, kept), "mimeType": kind, "text": body}
    return told | {"comment": "The start of the answer, with what looks like a credential struck out."}


def _headers(pairs: Iterable[Sequence[Any]]) -> list[dict[str, str]]:
    return [{"name": str(name), "value": str(value)} for name, value in pairs]


def _error(row: Row) -> str:
    """Say what broke the last attempt, empty when an answer came whole."""
    attempts = row.get("attempts") or ()
    failure = (attempts[-1].get("failure") if attempts else None) or {}
    if failure:
        return ": ".join(filter(None, (str(failure.get("code") or ""), str(failure.get("detail") or ""))))
    return str(row.get("cause") or "") if not row.get("status") else ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _timings(row: Row) -> dict[str, float]:
    """Give the phases in milliseconds; ``connect`` contains ``ssl``, and what is in no phase is ``blocked``."""
    attempts = row.get("attempts") or ()
    spent = _phases(attempts[-1]) if attempts else _without_attempt(row)
    tls = spent.get("tls", UNKNOWN)
    connect = spent.get("connect", 0.0) + max(0.0, tls) if {"connect", "tls"} & spent.keys() else UNKNOWN
    told = {
        "dns": spent.get("dns", UNKNOWN),
        "connect": connect,
        "ssl": tls,
        "send": spent.get("send", 0.0),
        "wait": spent.get("first_byte", 0.0),
        "receive": spent.get("body", 0.0),
    }
    told = {name: round(value, 3) for name, value in told.items()}
    waits = (max(0.0, (one.get("waited_ms") or 0.0) - (one.get("queued_ms") or 0.0)) for one in attempts)
    before = (row.get("queue_ms"), *waits, spent.get("pool"))
    total = row.get("total_ms")
    blocked = sum(value or 0.0 for value in before) if total is None else max(0.0, total - _time(told))
    return {"blocked": round(blocked, 3), **told}


def _phases(attempt: Mapping[str, Any]) -> dict[str, float]:
    spent: dict[str, float] = {}
    for phase in attempt.get("phases") or ():
        spent[phase["name"]] = spent.get(phase["name"], 0.0) + max(0.0, phase["end_ms"] - phase["start_ms"])
    return spent


def _without_attempt(row: Row) -> dict[str, float]:
    """Give the phases of what we answered ourselves, or passed through unread."""
    total, first = row.get("total_ms") or 0.0, row.get("ttft_ms")
    if row.get("kind") in {"tunnel", "websocket"}:
        return {"body": total}
    first = total if first is None else min(first, total)
    return {"first_byte": max(0.0, first - (row.get("queue_ms") or 0.0)), "body": total - first}


def _time(timings: Mapping[str, float]) -> float:
    return round(sum(value for name, value in timings.items() if name != "ssl" and value > 0), 3)
