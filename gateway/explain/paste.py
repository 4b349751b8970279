"""Whatever a person pastes, as what was seen: finds out what it is, and has it read. Has no opinion about causes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from gateway.explain import client_text, curl, dump, har, log_json, own_row, raw_http, shell
from gateway.explain.clean import cleaned, host_of
from gateway.explain.literal import as_json, json_of, read_literal
from gateway.explain.seen import Seen
from gateway.explain.split import MAX_FAILURES

_MAX_NESTING = 3
_COLOURS = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_FENCE = re.compile(r"^\s{0,3}(?:```|~~~)[\w-]{0,20}[ \t]*$", re.MULTILINE)
_EVENTS = re.compile(r"\s{0,20}(?:(?:event|id|retry): ?[^\n]{0,200}\n|:[^\n]{0,200}\n){0,8}data: ?\S")
_JSON_BEGINS = re.compile(r"\{\s{0,99}(?:[\"'}]|\w{1,60}:)|\[\s{0,99}[{\"'\]\[]|\"")

_CONTAINER = re.compile(r"^\S{1,60} {0,20}\| ?")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.?\d{0,9}Z (?:stdout F |stderr F )?")
_QUOTED = re.compile(r"^(?:>|&gt;) ?")
_PREFIXES = re.compile(r"\s{0,99}(?:\S{1,60} {0,20}\||\d{4}-|>|&gt;)")


def read(text: str) -> tuple[Seen, ...]:
    """Give every failure that the text tells of, in order, at most 20; none when it tells of successes alone."""
    plain = _plain(text)
    found = tuple(_first(_seen_in(plain, 0))) if plain else ()
    return tuple(cleaned(seen) for seen in found)


def _first(found: Iterable[Seen]) -> Iterator[Seen]:
    for _, seen in zip(range(MAX_FAILURES), found, strict=False):
        yield seen


def _plain(text: str) -> str:
    """Take off what terminals, logs and chats add around what was said."""
    text = text.encode("utf-8", "replace").decode()
    text = _COLOURS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff"))
    return _unprefixed(_FENCE.sub("", text)).strip()


def _unprefixed(text: str) -> str:
    """Take off what stands before every line: a container's name, a time, the mark of a quotation."""
    if not _PREFIXES.match(text) or curl.is_verbose(text):
        return text
    for pattern in (_CONTAINER, _TIME, _QUOTED):
        lines = text.split("\n")
        if all(pattern.match(line) for line in lines if line.strip()):
            text = "\n".join(pattern.sub("", line, count=1) for line in lines)
    return text


def _seen_in(text: str, nesting: int) -> Iterable[Seen]:
    if nesting < _MAX_NESTING and (asked := shell.command(text)):
        request, rest = asked
        return [_with_request(seen, request) for seen in _first(_seen_in(rest, nesting + 1))] if rest else [request]
    if _JSON_BEGINS.match(text):
        document = json_of(text)
        if document is not None:
            return _of_document(document, text, nesting)
        if rows := _lines(text):
            return rows
    if curl.is_verbose(text):
        return [curl.seen_in(text)]
    if raw_http.has_answer(text):
        return raw_http.failures(text)
    if text.startswith("<") or _EVENTS.match(text):
        return [Seen(body=text)]
    if _JSON_BEGINS.match(text):
        return _of_literal(text)
    return client_text.failures(text)


def _with_request(seen: Seen, request: Seen) -> Seen:
    return replace(
        seen,
        method=seen.method or request.method,
        url=seen.url if host_of(seen.url) and urlsplit(seen.url).path else request.url,
        model=seen.model or request.model,
        request_headers=seen.request_headers or request.request_headers,
        request_body=seen.request_body or request.request_body,
    )


def _of_document(document: object, text: str, nesting: int) -> Iterable[Seen]:
    entries = har.entries_of(document)
    if entries is not None:
        return har.failures(entries)
    if isinstance(document, str):
        inner = _plain(document)
        return _seen_in(inner, nesting + 1) if inner and nesting < _MAX_NESTING else [Seen(exception=document)]
    if isinstance(document, dict) and own_row.is_row(document):
        return [own_row.seen_in(document)]
    if isinstance(document, list) and document and all(own_row.is_row(row) for row in document):
        return [own_row.seen_in(row) for row in document]
    if isinstance(document, dict) and dump.is_dump(document):
        return [_of_dump(document)]
    if isinstance(document, dict) and log_json.is_line(document):
        return _of_log([document])
    return [Seen(body=text)]


def _of_dump(document: dict[str, object]) -> Seen:
    """Read an error of JavaScript that was written as JSON: its own words go before its properties."""
    said = [value for name in ("name", "message", "stack") if isinstance(value := document.get(name), str)]
    told = client_text.one("\n".join(said))
    seen = dump.seen_in(document)
    return replace(
        told,
        method=seen.method or told.method,
        url=seen.url or told.url,
        model=seen.model,
        request_headers=seen.request_headers,
        request_body=seen.request_body,
        stage="http" if seen.status else told.stage,
        status=seen.status or told.status,
        headers=seen.headers or told.headers,
        body=seen.body or told.body,
    )


def _lines(text: str) -> list[Seen]:
    """Read objects of which each has a line: rows of the own log, or of another program's."""
    documents = [json_of(line) for line in text.split("\n") if line.strip()]
    objects = [document for document in documents if isinstance(document, dict)]
    if len(objects) == len(documents) and all(own_row.is_row(line) for line in objects):
        return [own_row.seen_in(row) for row in objects]
    if len(objects) == len(documents) and all(log_json.is_line(line) for line in objects):
        return list(_of_log(objects))
    return []


def _of_log(lines: list[dict[str, object]]) -> Iterator[Seen]:
    """Read the lines that tell of a failure."""
    for line in [line for line in lines if log_json.is_failure(line)][:MAX_FAILURES]:
        error = log_json.dumped(line)
        said = log_json.words(line)
        if error is not None:
            yield _of_dump(error)
        elif said:
            yield client_text.one(_plain(said))


def _of_literal(text: str) -> Iterable[Seen]:
    """Read an object that is no JSON: as Python or Node print it, or cut."""
    value, end = read_literal(text, 0)
    if text[end:].strip():
        return client_text.failures(text)
    if dump.is_dump(value) or not isinstance(value, dict | list):
        return client_text.failures(text)
    return [Seen(body=as_json(value) if text[:2] in {"{'", "[{"} or "':" in text[:200] else text)]
