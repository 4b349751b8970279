"""Credentials inside texts: their shapes, and how they are struck out. Everything that is shown or stored passes here.

Every pattern is linear in its input: a repeat is either bounded, or of one class and can start only where that class
could not have begun earlier.
"""

import re
from collections.abc import Iterable, Iterator

STRUCK = "[redacted]"
MIN_SECRET_CHARS = 8
PIECE_CHARS = 4096

_SECRET = re.compile(
    r"(?P<scheme>\b(?i:bearer|basic)\s{1,8})[\w.~+/=*-]{8,}"
    r"|(?P<pair>(?i:(?<![a-z0-9])(?:x-)?(?:api[_-]?key|key|access[_-]?token|auth[_-]?token|token|sig|signature"
    r"|client[_-]?secret|secret|password|passwd))=)[^&\s\"'<>#;]+"
    r"|(?P<field>\"(?i:(?:x-)?(?:api|goog-api|access|private|secret)[_-]?key|authorization|cookie|password"
    r"|(?:access|refresh|id|auth)[_-]?token|client[_-]?secret|secret)\"\s{0,8}:\s{0,8}\")[^\"]{1,8192}"
    r"|(?P<userinfo>://)[^/\s@\"'<>]{1,256}(?=@)"
    r"|(?P<ours>/~)[\w.~-]{16,256}(?![\w.~-])"
    r"|(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"
    r"|(?<![A-Za-z0-9])(?:(?:sk|pk|rk|ak|sess|whsec)[-_]|(?:org|proj)-)[\w*.-]{8,}"
    r"|(?<![A-Za-z0-9])(?:org|proj)_(?=[\w*.-]{0,40}[\dA-Z*])[\w*.-]{8,}"
    r"|(?<![A-Za-z0-9])(?:xai|pplx)-[A-Za-z0-9*]{20,}"
    r"|(?<![A-Za-z0-9])(?:gsk_|hf_|r8_|nvapi-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|ya29\.)[\w*.-]{8,}"
    r"|(?<![A-Za-z0-9])AIza[\w-]{20,}|(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])",
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Give the text without credentials: those in ``secrets`` word for word, and whatever is shaped like one."""
    if len(text) < MIN_SECRET_CHARS:
        return text
    for secret in secrets:
        text = text.replace(secret, STRUCK)
    if len(text) <= PIECE_CHARS:
        return _SECRET.sub(_strike, text)
    return "".join(_SECRET.sub(_strike, piece) for piece in pieces(text))


def pieces(text: str, size_chars: int = PIECE_CHARS) -> Iterator[str]:
    """Cut a long text where no credential can stand: a search over all of it would keep other threads out for long."""
    start = 0
    while len(text) - start > size_chars:
        cut = max(text.rfind(end, start, start + size_chars) for end in ("\n", '",', "><")) + 1
        if cut <= start:
            break
        yield text[start:cut]
        start = cut
    yield text[start:]


def _strike(found: re.Match[str]) -> str:
    """Keep what introduces the secret (``Bearer``, ``key=``), so that a reader sees what stood there."""
    return (found["scheme"] or found["pair"] or found["field"] or found["userinfo"] or found["ours"] or "") + STRUCK
