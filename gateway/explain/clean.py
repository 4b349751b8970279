"""The last step of every reader: what was read, without secrets and within bounds."""

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote, urlsplit

from gateway.explain.seen import Pairs, Seen
from gateway.record.redact import STRUCK, credentials_of, kept_headers, kept_target, scrub

MAX_BODY_CHARS = 64 * 1024
MAX_EXCEPTION_CHARS = 8 * 1024
_MAX_REQUEST_CHARS = 16 * 1024
_MAX_VALUE_CHARS = 1024
_MAX_NAME_CHARS = 128
_MAX_HEADERS = 100
_MAX_URL_CHARS = 4096
_MAX_WORDS_CHARS = 512
_MAX_ANSWERS = 32
_MAX_SECRETS = 50
_SPARE_CHARS = 16 * 1024
"""Cut off after scrubbing: a secret that the first cut went through is gone with it."""
_GAP = "\n[...]\n"
_URL_SAFE = "!$&'()*+,;=:@/?%-._~[]{}|^\"\\"

_SECRET_NAME = re.compile(r"auth|cookie|credential|key|passw|secret|session|token|signature|organi[sz]ation|project")
_TELLING = re.compile(
    r"^(?:(?:www|proxy)-authenticate$|access-control-|sec-fetch-|x-tokenlimit-|x-ms-error|(?:\w+-)*ratelimit)"
)
"""Names that look like a credential's and are part of what went wrong."""
_SCHEME = re.compile(r"(?i)^(?:bearer|basic|digest|token|negotiate|ntlm|aws4-hmac-sha256)(?=\s|$)")
_NO_SECRET = frozenset({"", "undefined", "null", "none", "nil", "[redacted]"})
"""What stands in a header when the program had no key: as it is, since it is the cause."""

_HEADER_NAMES = (
    r"(?:proxy-)?authorization|(?:x-goog-|x-|ocp-apim-)?(?:api|subscription)-key|(?:set-)?cookie"
    r"|x-(?:auth|access|amz-security|whygate)-token"
)
_WRITTEN = re.compile(
    rf"(?i)(?<![\w-])(?P<head>(?:{_HEADER_NAMES})"
    r"(?:\\?['\"`]\s{0,4}(?:,\s{0,4}\\?['\"]value\\?['\"]\s{0,4}:|[:=,]>?)\s{0,4}[b\[]{0,2}\\?['\"`]|\s{0,4}[:=]\s{0,4}"
    r"['\"`]?))"
    r"(?P<scheme>(?:bearer|basic)\s{1,4})?(?P<value>[^\r\n'\"`\\]++)"
)
_WHOLE_LINE = re.compile(
    rf"(?im)^(?P<head>(?:[<>*] )?(?:{_HEADER_NAMES}):[ \t]*+)(?P<scheme>(?:bearer|basic) ++)?(?P<value>[^\r\n]++)"
)
_CAMEL = re.compile(r"(?i)(?P<head>\bapi_?key['\"]?\s{0,3}[:=]\s{0,3}b?['\"`])(?P<value>[^\r\n'\"`]{6,512})")
_SHORT_KEY = re.compile(r"(?<![A-Za-z0-9])sk-[\w*.-]{3,}")


def cleaned(seen: Seen, secrets: Iterable[str] = ()) -> Seen:
    """Give what was seen with every credential struck out and every text bounded; header names in lower case."""
    request = tuple((name.lower().encode(), value.encode("utf-8", "replace")) for name, value in seen.request_headers)
    known = tuple(
        secret
        for secret in (*secrets, *credentials_of(request[:_MAX_HEADERS]))[:_MAX_SECRETS]
        if secret.lower() not in _NO_SECRET
    )
    return replace(
        seen,
        id=scrub(seen.id[:_MAX_WORDS_CHARS], known),
        method=seen.method.upper()[:16],
        url=cleaned_url(seen.url),
        model=scrub(seen.model[:_MAX_WORDS_CHARS], known),
        request_headers=_headers(seen.request_headers),
        request_body=_text(seen.request_body[: _MAX_REQUEST_CHARS + _SPARE_CHARS], known)[:_MAX_REQUEST_CHARS],
        headers=_headers(seen.headers),
        body=_body(seen.body, known),
        location=cleaned_url(seen.location),
        exception=_exception(seen.exception, known),
        cert_issuer=scrub(seen.cert_issuer[:_MAX_WORDS_CHARS]),
        cert_subject=scrub(seen.cert_subject[:_MAX_WORDS_CHARS]),
        dns_answers=tuple(answer[:64] for answer in seen.dns_answers[:_MAX_ANSWERS]),
        notes=_text(seen.notes[:_MAX_REQUEST_CHARS], known),
    )


def cleaned_url(url: str) -> str:
    """Give a URL without user info, fragment and the values of queries that are not known to be harmless."""
    url = url.strip()[:_MAX_URL_CHARS].partition("#")[0]
    start, mark, rest = url.partition("://")
    if not mark:
        return _target(url)
    end = next((at for at, char in enumerate(rest) if char in "/?\\"), len(rest))
    host = rest[:end].rpartition("@")[2]
    return f"{scrub(start)}://{scrub(host)}{_target(rest[end:])}"


def _target(target: str) -> str:
    path, mark, query = quote(target, safe=_URL_SAFE).partition("?")
    if not mark:
        return scrub(path)
    return scrub(path) + kept_target(f"?{query}".encode())


def host_of(url: str) -> str:
    """Give the host's name, lower case; empty when the URL has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def middle_cut(text: str, limit_chars: int) -> str:
    """Give the text without its middle when it is too long: a chain begins with its cause and ends with its words."""
    if len(text) <= limit_chars:
        return text
    half = (limit_chars - len(_GAP)) // 2
    return text[:half] + _GAP + text[-half:]


def _headers(headers: Pairs) -> Pairs:
    return tuple(
        (name.strip().lower()[:_MAX_NAME_CHARS], _value(name.strip().lower(), value.strip()))
        for name, value in headers[:_MAX_HEADERS]
    )


def _value(name: str, value: str) -> str:
    if name in {"location", "content-location", "referer", "origin"}:
        return cleaned_url(value)
    if not _SECRET_NAME.search(name) or _TELLING.match(name) or kept_headers(((name.encode(), b""),)):
        return _text(value[:_MAX_VALUE_CHARS], ())
    scheme = _SCHEME.match(value)
    kept = scheme[0] if scheme else ""
    secret = value[len(kept) :].strip()
    return f"{kept} {secret if secret.lower() in _NO_SECRET else STRUCK}".strip()


def _body(body: str, secrets: tuple[str, ...]) -> str:
    if len(body) > MAX_BODY_CHARS and re.match(r"\s{0,99}(?:event|data|id|:)", body):
        # A stream breaks at its end.
        body = middle_cut(body, MAX_BODY_CHARS)
    return _text(body[: MAX_BODY_CHARS + _SPARE_CHARS], secrets)[:MAX_BODY_CHARS]


def _exception(text: str, secrets: tuple[str, ...]) -> str:
    text = _text(middle_cut(text, 4 * _SPARE_CHARS), secrets)
    return middle_cut(text, MAX_EXCEPTION_CHARS)


def _text(text: str, secrets: tuple[str, ...]) -> str:
    text = _WRITTEN.sub(_strike, _WHOLE_LINE.sub(_strike, text))
    text = _CAMEL.sub(lambda found: found["head"] + STRUCK, text)
    return _SHORT_KEY.sub(STRUCK, scrub(text, secrets))


def _strike(found: re.Match[str]) -> str:
    value = found["value"].strip()
    if value.lower() in _NO_SECRET:
        return found[0]
    return f"{found['head']}{found['scheme'] or ''}{STRUCK}"
