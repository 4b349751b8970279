"""In which language the page's API speaks to this reader, and how a verdict that was stored in another one gets there.

Who names no language, such as our own command line, is given verdicts as they were stored: in the gateway's language.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.diagnose.remedy import LANGUAGES
from gateway.diagnose.say import retold
from gateway.record.filter import BadFilterError

_MAX_HEADER_CHARS = 1_000
_MAX_TAG_CHARS = 35


def wanted(request: Request) -> str | None:
    """Give the language that ``?lang=`` or the header ``Accept-Language`` names; None when neither does.

    Raises:
        BadFilterError: ``lang`` names a language that we do not speak.
    """
    given = request.query_params.get("lang", "")
    if not given:
        return accepted(request.headers.get("accept-language", ""))
    if (language := _ours(given)) is None:
        raise BadFilterError(f"lang={given[:_MAX_TAG_CHARS]!r}: expected one of {', '.join(LANGUAGES)}")
    return language


def accepted(header: str) -> str | None:
    """Give the language that fits a value of ``Accept-Language`` best (RFC 9110 section 12.5.4).

    English when it names languages and none of ours; None when it leaves the choice to us.
    """
    weights: dict[str, float] = {}
    for part in header[:_MAX_HEADER_CHARS].split(","):
        tag, _, parameters = part.partition(";")
        if tag := tag.strip().lower():
            weights.setdefault(tag, _weight(parameters))
    liked = [tag for tag, weight in sorted(weights.items(), key=lambda item: -item[1]) if weight > 0]
    for tag in liked:
        if tag == "*":
            return None
        if (language := _ours(tag)) is not None:
            return language
    return LANGUAGES[0] if liked else None


def _ours(tag: str) -> str | None:
    """Give our language for a tag like ``zh-Hans-CN``."""
    language = tag.strip().replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else None


def _weight(parameters: str) -> float:
    """Read ``q=0.8``; what cannot be read counts nothing."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            digits = value.strip()
            readable = digits.replace(".", "", 1).isdigit() and digits.isascii() and len(digits) <= 5
            return min(1.0, float(digits)) if readable else 0.0
    return 1.0


def row_in(row: dict[str, Any], language: str | None) -> dict[str, Any]:
    """Give a row with its verdict in a language; the very same row when it is in that language already."""
    said = row.get("diagnosis")
    if language is None or not said or said.get("language", LANGUAGES[0]) == language:
        return row
    return {**row, "diagnosis": retold(said, language)}


def needs_words(data: str, language: str) -> bool:
    """Say whether a row, written as JSON, holds a verdict in another language. A look, not a parse.

    Quotes inside of strings are escaped, so what is looked for can only stand there as the verdict's own key.
    """
    return '"diagnosis":{' in data and f'"language":"{language}"' not in data


def text_in(data: str, language: str) -> str:
    """Give a row, written as JSON, with its verdict in a language."""
    return orjson.dumps(row_in(orjson.loads(data), language)).decode()


def labelled(response: Response, language: str | None) -> Response:
    """Say in an answer's head which language it is in, and that another reader may get another."""
    response.headers["vary"] = "Accept-Language"
    if language is not None:
        response.headers["content-language"] = language
    return response
