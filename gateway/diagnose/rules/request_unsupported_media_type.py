"""The Content-Type is not one that the endpoint reads; curl sends a form's unless told."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Rule, first, in_status, only, said, shown, status
from gateway.model.cause import Cause


def _kind(seen: Observation) -> str:
    """What the request said of itself: its header, or what somebody tells of it."""
    notes = seen.evidence.call.notes.lower()
    told = notes.partition("content-type:")[2].split(";")[0].split(",")[0].strip() if "content-type:" in notes else ""
    return seen.evidence.call.content_type.lower() or told


RULE = Rule(
    cause=Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE,
    match=first(
        only(
            lambda seen: not seen.declared.param and (seen.status // 100 == 4 or seen.status == 500),
            said(
                "content type|media type|mime type|contenttype",
                "unsupported|not supported|invalid|must be|only|expected|missing|not allowed|required|should be|"
                "acceptable",
            ),
        ),
        only(
            lambda seen: not seen.declared.param and (seen.status // 100 == 4 or seen.status == 500),
            said("unsupported data type|unsupported media type|unsupported content type|unsupported_media_type"),
        ),
        only(
            lambda seen: not seen.enveloped and "json" not in _kind(seen) and bool(_kind(seen)),
            shown(in_status(400, 415, 422, 500), "the request's content type is not JSON"),
        ),
        status(415),
    ),
    outranks=("request.invalid_parameter", "request.invalid_json", "service.server_error", "request.missing_parameter"),
    reads_pages=True,
)
