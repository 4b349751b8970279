"""One JSON line of a collection of failures as `Seen`. Only what was observed is read: a line may hold the verdict."""

from collections.abc import Mapping
from dataclasses import replace

import orjson

from gateway.explain.clean import cleaned
from gateway.explain.seen import Pairs, Seen

_STAGES = frozenset({"", "dns", "tcp", "tls", "proxy", "http"})


class UnreadableRowError(ValueError):
    """A row that is none; the message says what is wrong, in one sentence."""


def of_row(row: Mapping[str, object]) -> Seen:
    """Read ``{"id", "request", "response"}`` or ``{"id", "observed"}``.

    Raises:
        UnreadableRowError: It has another shape.
    """
    if not isinstance(row, Mapping):
        raise UnreadableRowError("The row is no object.")
    name, observed, response = _text(row, "id"), _part(row, "observed"), _part(row, "response")
    request = _part(row, "request") or {}
    if (observed is None) == (response is None):
        raise UnreadableRowError("The row needs `response` or `observed`, and not both.")
    answer = response or observed or {}
    stage = _text(answer, "stage") if observed else ""
    if stage not in _STAGES:
        raise UnreadableRowError(f"`stage` is none of {', '.join(sorted(_STAGES - {''}))}.")
    seen = Seen(
        id=name,
        method=_text(request, "method"),
        url=_text(request, "url"),
        model=_text(request, "model"),
        notes=_text(request, "notes"),
        request_headers=_headers(request),
        request_body=_body(request),
        stage=stage,
        status=_status(answer),
        headers=_headers(answer),
        body=_body(answer),
    )
    return cleaned(_with_observed(seen, observed) if observed else seen)


def _with_observed(seen: Seen, observed: Mapping[str, object]) -> Seen:
    return replace(
        seen,
        location=_text(observed, "location"),
        exception=_text(observed, "exception"),
        cert_issuer=_text(observed, "cert_issuer"),
        cert_subject=_text(observed, "cert_subject"),
        dns_answers=_answers(observed),
    )


def _part(row: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    part = row.get(name)
    if part is not None and not isinstance(part, Mapping):
        raise UnreadableRowError(f"`{name}` is no object.")
    return part


def _text(part: Mapping[str, object], name: str) -> str:
    value = part.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableRowError(f"`{name}` is no text.")
    return value


def _body(part: Mapping[str, object]) -> str:
    """Give the text; a body that was written down as JSON is given as such."""
    value = part.get("body")
    if isinstance(value, dict | list):
        try:
            return orjson.dumps(value).decode()
        except orjson.JSONEncodeError as exc:
            raise UnreadableRowError("`body` is no JSON.") from exc
    return _text(part, "body")


def _status(part: Mapping[str, object]) -> int | None:
    status = part.get("status")
    if status is None or (type(status) is int and 0 <= status <= 999):
        return status or None
    raise UnreadableRowError("`status` is no status of HTTP.")


def _headers(part: Mapping[str, object]) -> Pairs:
    headers = part.get("headers")
    if headers is None:
        return ()
    if isinstance(headers, Mapping):
        return tuple(_pair(name, value) for name, values in headers.items() for value in _each(values))
    if isinstance(headers, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in headers):
        return tuple(_pair(name, value) for name, value in headers)
    raise UnreadableRowError("`headers` is neither an object nor a list of pairs.")


def _each(values: object) -> list[object]:
    return values if isinstance(values, list) else [values]


def _pair(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not isinstance(value, str):
        raise UnreadableRowError("`headers` holds something that is no text.")
    return name, value


def _answers(observed: Mapping[str, object]) -> tuple[str, ...]:
    answers = observed.get("dns_answers")
    if answers is None:
        return ()
    if not isinstance(answers, list | tuple) or not all(isinstance(answer, str) for answer in answers):
        raise UnreadableRowError("`dns_answers` is no list of addresses.")
    return tuple(answers)
