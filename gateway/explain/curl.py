"""What `curl -v` prints: its notes (`*`), the request (`>`), the answer (`<`), and the body in between."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gateway.explain.raw_http import Message, answered, messages
from gateway.explain.seen import Seen
from gateway.explain.words import stage_in, status_in

_METER = re.compile(r"[\d\s.:kMGT%-]{20,300}+(?=[*<>{}] |\d?$)")
_METER_HEAD = re.compile(r"\s{0,8}(?:% Total|Dload )")
_DATA = re.compile(r"[{}] \[\d{1,9} bytes data\]")
_SAYS = re.compile(r"curl: ?\(\d{1,3}\)")
_NOTE = re.compile(
    r"^\* (?:  Trying |Trying |Host \S{1,255} was resolved|Connected to |Could not resolve|Uses proxy env"
    r"|Connection #|TLSv|ALPN|SSL |using HTTP|Failed to connect|connect to )",
    re.MULTILINE,
)
_HEAD = re.compile(r"^(?:< HTTP/\d|> [A-Z]{3,10} \S{1,4096} HTTP/\d)", re.MULTILINE)
_BAD = re.compile(
    r"(?i)could ?n.t|could not|fail|refused|problem|timed? ?out|reset|response [45]\d\d|HTTP code \d"
    r"|empty reply|closed abruptly|transfer closed|alert|error[: ]|unable|unreachable|no route|unknown ca"
    r"|expired|not match|self.signed|aborted|denied"
)
_TRIED = re.compile(r"^ {0,4}Trying \[?([0-9a-fA-F.:]{3,45}?)\]?(?::\d{1,5})?\.\.\.")
_ANSWERS = re.compile(r"^IPv[46]: ([0-9a-fA-F.:, ]{3,2000})$")
_STREAM = re.compile(r"OPENED stream for (https?://\S{1,4096})")
_NAMED = re.compile(
    r"^(?:Host ([\w.-]{1,255}):(\d{1,5}) was|Could not resolve host: ([\w.-]{1,255})()"
    r"|Connected to ([\w.-]{1,255}) \([^)]{1,60}\) port (\d{1,5})|Failed to connect to ([\w.-]{1,255}) port (\d{1,5})"
    r"|Establish HTTP proxy tunnel to ([\w.-]{1,255}):(\d{1,5}))"
)
_PROXY = re.compile(r"(?i)uses proxy env|proxy tunnel|CONNECT tunnel|CONNECT phase|using proxy|resolve proxy|socks")
_CERT = re.compile(r"^ {1,4}(issuer|subject): (.{1,500})$")


@dataclass(slots=True)
class _Lines:
    """The lines of each kind, without their marks."""

    notes: list[str] = field(default_factory=list)
    wire: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)


def is_verbose(text: str) -> bool:
    """Tell whether the text is what `curl -v` prints, and not a list or a quotation that begins with the same marks."""
    return bool(_HEAD.search(text) or _NOTE.search(text) or _NOTE.search(_unmetered(text[:4096])))


def seen_in(text: str) -> Seen:
    """Give the call; of several answers the last real one counts."""
    lines = _sorted(text)
    request, answer = _last(messages("\n".join(lines.wire)))
    said = _said(lines)
    proxied = any(_PROXY.search(note) for note in lines.notes)
    tls = any(note.startswith(("TLSv", "SSL connection", "ALPN")) for note in lines.notes)
    url = next((found[1] for note in lines.notes if (found := _STREAM.search(note))), "")
    named = _named(lines.notes)
    url = url or request.url("https" if tls or named.startswith("https") else "http") or named
    seen = replace(answered(request, answer), url=url, exception=said)
    if answer.status is None:
        refused = status_in(said, latest=True)
        seen = replace(seen, stage=stage_in(said), status=refused)
    elif request.method != "CONNECT":
        seen = replace(seen, body="\n".join(lines.body).strip())
    certificate = _certificate(lines.notes)
    return replace(
        seen,
        cert_issuer=certificate.get("issuer", ""),
        cert_subject=certificate.get("subject", ""),
        dns_answers=() if proxied else _answers(lines.notes, url),
    )


def _unmetered(text: str) -> str:
    return "\n".join(_METER.sub("", line, count=1) if "--:--" in line else line for line in text.split("\n"))


def _sorted(text: str) -> _Lines:
    lines = _Lines()
    for line in _unmetered(text).split("\n"):
        mark, rest = line[:2], line[2:]
        if mark == "* " or line == "*":
            lines.notes.append(rest)
        elif mark in {"> ", "< "} or line in {">", "<"}:
            lines.wire.append(rest)
            if mark == "< " and rest.startswith("HTTP/"):
                # What came before belongs to an answer that does not count.
                lines.body.clear()
        elif _SAYS.match(line):
            lines.said.append(line)
        elif (lines.notes or lines.wire) and not (_DATA.match(line) or _METER_HEAD.match(line)):
            lines.body.append(line)
    return lines


def _last(found: Iterable[Message]) -> tuple[Message, Message]:
    """Give the last answer that is one, and its request; a proxy's consent and a `100 Continue` are none."""
    request, pair = Message(), (Message(), Message())
    for message in found:
        if message.status is None:
            request = message
            if pair[0].method in {"", "CONNECT"}:
                pair = (request, Message())
        elif message.status >= 200 and not (request.method == "CONNECT" and message.status < 300):
            pair = (request, message)
    return pair


def _said(lines: _Lines) -> str:
    bad = [note.strip() for note in lines.notes if _BAD.search(note)]
    return "\n".join(dict.fromkeys((*bad, *lines.said)))


def _named(notes: list[str]) -> str:
    """Give the address of the host that the notes name, when no request was sent."""
    found = [match for note in notes if (match := _NAMED.match(note.strip()))]
    for match in reversed(found):
        host, port = (part for part in match.groups() if part is not None)
        scheme = "http" if port == "80" or host == "localhost" or host.startswith("127.") else "https"
        return f"{scheme}://{host}" + (f":{port}" if port not in {"", "80", "443"} else "")
    return ""


def _answers(notes: list[str], url: str) -> tuple[str, ...]:
    """Give the addresses of the name; an address that was asked for is no answer."""
    found: list[str] = []
    for note in notes:
        if listed := _ANSWERS.match(note.strip()):
            found += [part.strip() for part in listed[1].split(",")]
        elif tried := _TRIED.match(note):
            found.append(tried[1])
    return tuple(address for address in dict.fromkeys(found) if address and address not in url)


def _certificate(notes: list[str]) -> dict[str, str]:
    """Give issuer and subject of the last certificate that was shown: with a proxy of TLS there are two."""
    return {found[1]: found[2].strip() for note in notes if (found := _CERT.match(note))}
