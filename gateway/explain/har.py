"""A HAR file, as browsers and proxies save it: every call of it that failed."""

import base64
import binascii
from collections.abc import Iterator, Mapping

from gateway.excerpt import readable
from gateway.explain.raw_http import model_in
from gateway.explain.seen import Pairs, Seen
from gateway.explain.words import holds_error, stage_in

Json = Mapping[str, object]
_NOTHING: Json = {}


def entries_of(document: object) -> list[object] | None:
    """Give the entries; None when the document is no HAR."""
    log = part(document, "log") if isinstance(document, dict) else _NOTHING
    entries = log.get("entries")
    return entries if isinstance(entries, list) else None


def failures(entries: list[object]) -> Iterator[Seen]:
    """Give the calls without an answer, with one that refuses, and with one that tells of an error."""
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        response = part(entry, "response")
        status = response.get("status")
        status = status if type(status) is int and 100 <= status <= 999 else None
        said = words(response, "_error") or words(entry, "_error")
        content = _content(response)
        if status is None or status >= 400 or said or holds_error(content):
            yield _seen(entry, status, said, content)


def part(document: Json, name: str) -> Json:
    """Give an object of the document, an empty one where there is none."""
    value = document.get(name)
    return value if isinstance(value, dict) else _NOTHING


def words(document: Json, name: str) -> str:
    """Give a text of the document, an empty one where there is none."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _seen(entry: Json, status: int | None, said: str, content: str) -> Seen:
    request, response = part(entry, "request"), part(entry, "response")
    posted = words(part(request, "postData"), "text")
    return Seen(
        method=words(request, "method"),
        url=words(request, "url"),
        model=model_in(posted),
        request_headers=_headers(request),
        request_body=posted,
        stage="http" if status else stage_in(said),
        status=status,
        headers=_headers(response),
        body=content,
        location=words(response, "redirectURL"),
        exception=said,
    )


def _headers(message: Json) -> Pairs:
    headers = message.get("headers")
    pairs = [pair for pair in headers if isinstance(pair, dict)] if isinstance(headers, list) else []
    named = [(words(pair, "name"), words(pair, "value")) for pair in pairs]
    # HTTP/2 has its start line among the headers (`:path`): that is told already.
    return tuple((name, value) for name, value in named if name and not name.startswith(":"))


def _content(response: Json) -> str:
    content = part(response, "content")
    text = words(content, "text")
    if words(content, "encoding") != "base64":
        return text
    try:
        raw = base64.b64decode(text[: 512 * 1024 // 4 * 4], validate=False)
    except (binascii.Error, ValueError):
        return text
    return readable(raw, None, words(content, "mimeType")) or ""
