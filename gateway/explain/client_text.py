"""What clients print when a call fails: tracebacks, stacks, log lines and messages of any language."""

import re
from collections.abc import Iterator
from dataclasses import replace

from gateway.explain.clean import MAX_EXCEPTION_CHARS
from gateway.explain.dump import headers_of, is_dump, seen_in
from gateway.explain.literal import WORDS, as_json, json_of, read_literal
from gateway.explain.raw_http import header_lines
from gateway.explain.seen import Pairs, Seen
from gateway.explain.split import is_chain, split, words_only
from gateway.explain.words import answers_in, stage_in, stage_of_status, status_in, url_in

_OBJECT = re.compile(r"\{(?=\s{0,200}+(?:\\?['\"]|:?[A-Za-z_$\[]|\}))|\[(?=\s{0,200}+\{)")
_ESCAPED = re.compile(r"\{\s{0,40}+\\+\"")
_HTML = re.compile(r"<(?:!DOCTYPE html|html\b)", re.IGNORECASE)
_HEADERS = re.compile(r"\bheaders(?:\s{0,2}[:=]\s{0,2}|=)(?=\{|Headers|\[\()|\b(?=Headers\([\[{])")
_HEADER_BLOCK = re.compile(r"^Headers:[ \t]*+\n", re.MULTILINE)
_NAMED_ERROR = re.compile(r"\n[ ]{0,8}error: $")
_MAX_OBJECTS = 40
_ENVELOPE = {
    "error": 8,
    "errors": 4,
    "detail": 4,
    "message": 3,
    "error_message": 3,
    "__type": 4,
    "Message": 3,
    "fault": 4,
}


def failures(text: str) -> Iterator[Seen]:
    """Give one for each failure that the text tells of."""
    for piece in split(text):
        yield one(piece.strip("\n"))


def one(text: str) -> Seen:
    """Give what the text of one failure tells."""
    said = words_only(text)
    objects = list(_objects(said))
    dump = next((value for _, value in objects if is_dump(value) and not _is_envelope(value)), None)
    seen = seen_in(dump) if isinstance(dump, dict) else Seen()
    prose = _without(said, objects)
    method, url = url_in(said)
    status = seen.status or status_in(prose, latest=is_chain(text)) or status_in(said, latest=is_chain(text))
    url = seen.url or url
    stage = stage_in(said)
    return replace(
        seen,
        method=seen.method or method,
        url=url,
        stage=stage_of_status(prose) if status else stage,
        status=status,
        headers=seen.headers or _headers(said),
        body=_body(objects, said, seen.body),
        exception=text if len(text) <= MAX_EXCEPTION_CHARS else said,
        dns_answers=answers_in(prose, url),
    )


def _objects(said: str) -> Iterator[tuple[tuple[int, int], object]]:
    """Give the objects that stand in the words, outermost ones, with their places."""
    at = 0
    for _ in range(_MAX_OBJECTS):
        found = _OBJECT.search(said, at)
        if not found:
            return
        if _ESCAPED.match(said, found.start()):
            line = said[found.start() : found.start() + 64 * 1024].partition("\n")[0]
            value, taken = read_literal(re.sub(r'\\{1,3}+"', '"', line), 0)
            at = found.start() + max(taken, 1)
        else:
            value, at = read_literal(said, found.start())
        yield (found.start(), at), value


def _without(said: str, objects: list[tuple[tuple[int, int], object]]) -> str:
    """Give the words without the objects in them: what those say is the answer's."""
    parts, at = [], 0
    for (start, end), _ in objects:
        parts.append(said[at:start])
        at = end
    return " ".join((*parts, said[at:]))


def _is_envelope(value: object) -> bool:
    """Tell an answer's body from an error of the client: it has its message, and none of what a client adds."""
    if not isinstance(value, dict):
        return False
    return not value.keys() & {
        "headers",
        "responseHeaders",
        "config",
        "responseBody",
        "cause",
        "response",
        WORDS,
        "errno",
    } and ("error" in value or "detail" in value or "message" in value)


def _body(objects: list[tuple[tuple[int, int], object]], said: str, dumped: str) -> str:
    """Give the answer that stands in the words, or as it can be put together from an error's properties."""
    best, most = "", 0
    for (start, end), value in objects:
        worth = _worth(value)
        if worth > most:
            exact = said[start:end]
            best, most = exact if json_of(exact) is not None else as_json(value), worth
            if worth < _ENVELOPE["error"] and _NAMED_ERROR.search(said[max(0, start - 20) : start]):
                # Bun prints an error's properties without braces around them.
                best = as_json({"error": value})
    if best and (not dumped or most >= _ENVELOPE["error"]):
        return best
    if dumped:
        return dumped
    html = _HTML.search(said)
    return said[html.start() :] if html else ""


def _worth(value: object) -> int:
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    if not isinstance(value, dict) or (is_dump(value) and not _is_envelope(value)):
        return 0
    return max((worth for name, worth in _ENVELOPE.items() if value.get(name)), default=0)


def _headers(said: str) -> Pairs:
    if found := _HEADERS.search(said):
        return headers_of(read_literal(said, found.end())[0])
    if block := _HEADER_BLOCK.search(said):
        return header_lines(said[block.end() : block.end() + 32 * 1024].split("\n"))[0]
    return ()
