"""Errors as objects: what the SDKs of JavaScript hang on their errors, printed or as JSON."""

from collections.abc import Mapping

from gateway.explain.literal import WORDS, as_json
from gateway.explain.raw_http import model_in
from gateway.explain.seen import Pairs, Seen

Fields = Mapping[str, object]
_STATUS_FIELDS = ("status", "statusCode", "status_code")
_TELLING = frozenset({"responseBody", "requestBodyValues", "lastError", "errno", "syscall"})
"""No answer's body has these."""
_BESIDE_STATUS = frozenset({"headers", "responseHeaders", "stack", "requestID", "isRetryable"})
"""An answer's body may repeat its status, but not with one of these."""
_MAX_DEPTH = 4


def is_dump(value: object) -> bool:
    """Tell whether an object is an error with its properties, rather than an answer's body."""
    if not isinstance(value, dict):
        return False
    response = _part(value, "response")
    return bool(
        value.keys() & _TELLING
        or any(isinstance(value.get(name), dict) for name in ("config", "cause", "ResponseMetadata"))
        or "data" in response
        or any(isinstance(response.get(name), int) for name in _STATUS_FIELDS)
        or (value.keys() & _BESIDE_STATUS and any(isinstance(value.get(name), int) for name in _STATUS_FIELDS))
    )


def seen_in(dump: Fields, depth: int = 0) -> Seen:
    """Give what an error's properties tell; where it has none of its own, those of the error inside it."""
    inner = _inner(dump)
    if inner is not None and depth < _MAX_DEPTH and _status(dump) is None and not _body(dump):
        return seen_in(inner, depth + 1)
    response, config = _part(dump, "response"), _part(dump, "config")
    request_values = dump.get("requestBodyValues")
    posted = _text(config, "data") or (as_json(request_values) if isinstance(request_values, dict) else "")
    model = _text(_part(dump, "requestBodyValues"), "model") or model_in(posted)
    return Seen(
        method=_text(config, "method").upper(),
        url=_url(dump, config),
        model=model,
        request_headers=_headers(config.get("headers")),
        request_body=posted,
        status=_status(dump),
        headers=_headers(dump.get("headers"))
        or _headers(dump.get("responseHeaders"))
        or _headers(response.get("headers"))
        or _headers(_part(dump, "ResponseMetadata").get("HTTPHeaders")),
        body=_body(dump),
    )


def _inner(dump: Fields) -> Fields | None:
    for name in ("lastError", "cause", "originalError"):
        if isinstance(dump.get(name), dict):
            return _part(dump, name)
    errors = dump.get("errors")
    last = errors[-1] if isinstance(errors, list) and errors else None
    return last if isinstance(last, dict) else None


def _status(dump: Fields) -> int | None:
    response = _part(dump, "response")
    own = [part.get(name) for part in (dump, response) for name in _STATUS_FIELDS]
    for value in (*own, _part(dump, "ResponseMetadata").get("HTTPStatusCode")):
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)  # noqa: PLW2901 - the same status, as a number
        if type(value) is int and 100 <= value <= 999:
            return value
    return None


def _url(dump: Fields, config: Fields) -> str:
    url = _text(dump, "url") or _text(config, "url") or _text(_part(dump, "response"), "url")
    base = _text(config, "baseURL")
    if url and "://" not in url and base:
        return f"{base.rstrip('/')}/{url.lstrip('/')}"
    return url if "://" in url else ""


def _body(dump: Fields) -> str:
    """Give the answer as the client kept it: its text, or what was read from it, as JSON again."""
    kept = _text(dump, "responseBody") or _text(dump, "body")
    if kept:
        return kept
    if "ResponseMetadata" in dump:
        # What botocore keeps of an answer.
        return as_json({name: value for name, value in dump.items() if name != "ResponseMetadata"})
    response = _part(dump, "response")
    data = response.get("data") or response.get("body")
    if isinstance(data, str | dict | list) and data:
        return data if isinstance(data, str) else as_json(data)
    error = dump.get("error")
    if isinstance(error, dict) and error and WORDS not in error:
        enveloped = isinstance(error.get("error"), dict | str) or "detail" in error
        return as_json(error if enveloped else {"error": error})
    data = dump.get("data")
    return as_json(data) if isinstance(data, dict) and "error" in data else ""


def _part(dump: Fields, name: str) -> Fields:
    value = dump.get(name)
    return value if isinstance(value, dict) else {}


def _text(dump: Fields, name: str) -> str:
    value = dump.get(name)
    return value if isinstance(value, str) else ""


def _headers(value: object) -> Pairs:
    """Read headers from an object, or from a list of pairs."""
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, list):
        return ()
    pairs = [(pair[0], pair[1]) for pair in value if isinstance(pair, list | tuple) and len(pair) == 2]
    return tuple(
        (str(name), str(text)) for name, text in pairs if name != WORDS and isinstance(text, str | int | float)
    )


headers_of = _headers
