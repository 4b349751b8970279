"""Messages of HTTP as text: one answer, or requests and answers one after the other, as `curl -i` and captures show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.explain.literal import json_of
from gateway.explain.seen import Pairs, Seen
from gateway.explain.split import MAX_FAILURES
from gateway.explain.words import holds_error

_BEGINS = re.compile(
    r"^(?:HTTP/\d(?:\.\d)?+ ++(?P<status>[1-9]\d\d)(?=\s|$)[^\n]*+"
    r"|(?P<method>[A-Z]{3,10}+) ++(?P<target>[^\s]{1,8192}+) ++HTTP/\d(?:\.\d)?+[ \t]*+)$",
    re.MULTILINE,
)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~\w-]{1,128}+):(?:[ \t]++([^\n]*+))?$")
_CHUNK = re.compile(rb"\s{0,4}([0-9a-fA-F]{1,8})(?:;[^\n]{0,200})?\n")
_CURL_SAYS = re.compile(r"^curl: ?\(\d{1,3}\)[^\n]*+$", re.MULTILINE)
_LOCAL = re.compile(r"(?:localhost|127\.|0\.0\.0\.0|\[::1\])|[^:]{0,255}:(?!443$|8443$)\d{2,5}$")
_MAX_HEADERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: an answer has a status, a request a method."""

    status: int | None = None
    method: str = ""
    target: str = ""
    headers: Pairs = ()
    body: str = ""

    def header(self, name: str) -> str:
        """Give the first value, empty when there is none. ``name`` is lower case."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def url(self, scheme: str = "") -> str:
        """Give what a request asked for; https unless its host says that it is local."""
        if "://" in self.target:
            return self.target
        host = self.header("host") or self.header(":authority")
        if self.method == "CONNECT":
            return "https://" + self.target.removesuffix(":443")
        if not host:
            return ""
        return f"{scheme or ('http' if _LOCAL.match(host) else 'https')}://{host}{self.target}"


def messages(text: str) -> Iterator[Message]:
    """Give every message of the text, in order."""
    begin = None
    for following in _BEGINS.finditer(text):
        if begin:
            yield _message(begin, text[begin.end() : following.start()])
        begin = following
    if begin:
        yield _message(begin, text[begin.end() :])


def has_answer(text: str) -> bool:
    """Tell whether an answer's first line stands in the text."""
    return any(begin["status"] for begin in _BEGINS.finditer(text))


def failures(text: str) -> list[Seen]:
    """Give the answers that failed; the last one when none did."""
    found: list[Seen] = []
    request, last = Message(), None
    said = "\n".join(_CURL_SAYS.findall(text))
    for message in messages(_CURL_SAYS.sub("", text)):
        if message.status is None:
            request = message
            continue
        last = answered(request, message)
        if message.status >= 400 or holds_error(message.body):
            found.append(last)
        if len(found) == MAX_FAILURES:
            break
    found = found or ([last] if last else [])
    return [*found[:-1], replace(found[-1], exception=said)] if found and said else found


def answered(request: Message, answer: Message, scheme: str = "") -> Seen:
    """Give one exchange; what answers CONNECT is a proxy."""
    connecting = request.method == "CONNECT"
    return Seen(
        method="" if connecting else request.method,
        url=request.url(scheme),
        model=model_in(request.body),
        request_headers=request.headers,
        request_body=request.body,
        stage="proxy" if connecting else "http",
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        location=answer.header("location"),
    )


def model_in(body: str) -> str:
    """Give the model that a request's body names."""
    found = re.search(r"[\"']model[\"']\s{0,8}+:\s{0,8}+[\"']([^\"'\n]{1,200}+)[\"']", body[: 64 * 1024])
    return found[1] if found else ""


def header_lines(lines: list[str]) -> tuple[Pairs, int]:
    """Give the headers that the lines begin with, and how many lines they take."""
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        found = _HEADER.match(line)
        if found and len(pairs) < _MAX_HEADERS:
            pairs.append((found[1], found[2] or ""))
        elif pairs and line[:1] in {" ", "\t"} and line.strip():
            # A value that goes on in the next line.
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]} {line.strip()}"[:8192])
        else:
            return tuple(pairs), number
    return tuple(pairs), len(lines)


def _message(begin: re.Match[str], rest: str) -> Message:
    lines = rest.removeprefix("\n").split("\n")
    headers, taken = header_lines(lines)
    body = "\n".join(lines[taken:]).strip("\n")
    coding = next((value.lower() for name, value in headers if name.lower() == "transfer-encoding"), "")
    if "chunked" in coding:
        body = unchunked(body)
    return Message(
        status=int(begin["status"]) if begin["status"] else None,
        method=begin["method"] or "",
        target=begin["target"] or "",
        headers=headers,
        body=body.strip(),
    )


def unchunked(body: str) -> str:
    """Take off the framing of chunks, where it was left in; what is cut is given as far as it goes."""
    raw, at = body.encode(), 0
    parts: list[bytes] = []
    while found := _CHUNK.match(raw, at):
        size = int(found[1], 16)
        if not size:
            return b"".join(parts).decode("utf-8", "replace")
        parts.append(raw[found.end() : found.end() + size])
        at = found.end() + size
        if at < len(raw) and raw[at : at + 1] != b"\n":
            break
    if not parts or json_of(body) is not None:
        return body
    if at >= len(raw):
        return b"".join(parts).decode("utf-8", "replace")
    # The sizes fit no more: lines ends were changed on the way here.
    return "".join(line for line in body.split("\n") if not re.fullmatch(r"[0-9a-fA-F]{1,8}\s{0,2}", line))
