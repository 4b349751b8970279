"""The catalogue of causes as the page's API gives it: all in short, one in full, without the facts of any call.

Both read the words from a file the first time: they are plain functions, which Starlette runs in a thread.
"""

from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.diagnose.remedy import LANGUAGES, fill, words
from gateway.model.cause import Cause
from gateway.show.guard import error
from gateway.show.languages import labelled, wanted


def causes(request: Request) -> Response:
    """Give every cause with its title."""
    language = wanted(request) or LANGUAGES[0]
    return labelled(Response(_all(language), media_type="application/json"), language)


def cause(request: Request) -> Response:
    """Give what there is to say about one cause."""
    language = wanted(request) or LANGUAGES[0]
    try:
        found = Cause(request.path_params["slug"])
    except ValueError:
        return error(404, "no_such_cause", "No cause has this name. All of them are at /api/causes.")
    return labelled(Response(orjson.dumps(_in_full(found, language)), media_type="application/json"), language)


@cache
def _all(language: str) -> bytes:
    return orjson.dumps({"causes": [_in_short(one, language) for one in words(language).remedies]})


def _in_short(one: Cause, language: str) -> dict[str, Any]:
    return {
        "slug": one.value,
        "fault": one.fault.value if one.fault is not None else None,
        "again": one.again.name.lower(),
        "title": words(language).remedies[one].title,
    }


def _in_full(one: Cause, language: str) -> dict[str, Any]:
    remedy = words(language).remedies[one]
    return {
        **_in_short(one, language),
        "what_it_means": fill(remedy.what_it_means, {}),
        "how_we_know": fill(remedy.how_we_know, {}),
        "what_to_do": [fill(step, {}) for step in remedy.what_to_do],
        "not_to_be_confused_with": fill(remedy.not_to_be_confused_with, {}),
        "source": remedy.source,
    }
