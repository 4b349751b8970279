"""The document of the page's API: OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), served at ``/api/openapi.json``.

A new path is one entry in `OPERATIONS`; a test compares them with the routes, and the answers with the schemas.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.model.cause import Cause
from gateway.record.capture import SECONDS_MAX
from gateway.record.filter import CAUSE_PATTERN, STATUS_PATTERN
from gateway.record.query import MAX_LIMIT
from gateway.show import checked, healthy
from gateway.show.body import MAX_BODY_BYTES
from gateway.show.guard import COOKIE
from gateway.show.operation import JSON, MAX_VALUE_CHARS, Operation, in_path, query
from gateway.show.overview import SHAPES, SPANS
from gateway.show.schemas import COUNT, LANGUAGE_PATTERN, SCHEMAS, SWITCH, TEXT, maybe, one_of, ref, thing, told

_SINCE_PATTERN = (
    r"^([0-9]{1,6}[smhd]|(19[7-9][0-9]|20[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[-+](0[0-9]|1[0-3]):[0-5][0-9])?)?)?$"
)
_URL_PATTERN = r"^https?://[^\s/?#@\\]+(/[^\s?#\\]*)?$"

_REFUSALS: Mapping[int, str] = {
    400: "A value or the body is not what is expected; the message says what is.",
    401: "The token is missing or wrong.",
    403: "Another site asked (by Origin or Sec-Fetch-Site), or a tenant whom this is not open to.",
    404: "There is no such thing.",
    413: f"The body is longer than {MAX_BODY_BYTES:,} bytes.",
    415: "The body is not application/json.",
    421: "The Host header names an address that is not served here.",
    500: "The page failed; calls through the gateway are not affected.",
}


FLOW_ID = in_path("flow_id", "The id of a flow.", {"type": "string", "minLength": 1, "examples": ["01993c2a7f10a1b2"]})
_NO_FLOW = "No flow with this id is in the log."
_FILTERS = (
    query(
        "cause",
        "A slug, a family like `rate_limit.*`, or `*` for every failure.",
        pattern=f"^({CAUSE_PATTERN})?$",
        examples=["rate_limit.*"],
    ),
    query("fault", "Who can fix it."),
    query("status", "A number like 429 or a class like 4xx.", pattern=f"^({STATUS_PATTERN})?$"),
    query("provider", "Its name."),
    query("model", "Its whole name."),
    query("tenant", "Its name."),
    query("app", "The program that called, as flows name it."),
    query("kind", "api, tunnel or websocket."),
    query("q", "Words, each of which occurs in what a row shows: any place, any case, the first eight."),
    query(
        "since",
        "Began at this time or later: an age like 15m, 2h, 1d, or ISO 8601 (UTC unless it says otherwise).",
        pattern=_SINCE_PATTERN,
    ),
    query("until", "Began before this time: likewise.", pattern=_SINCE_PATTERN),
)
_SHARE = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE_CHARS}
_PAGING = (
    query("cursor", "`next_cursor` of the page before.", pattern="^[0-9]{0,18}$"),
    {
        "name": "limit",
        "in": "query",
        "description": "Flows in one page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100},
    },
)
_LANGUAGE = (
    query(
        "lang",
        "Language of verdicts; without it Accept-Language decides.",
        pattern=LANGUAGE_PATTERN,
        examples=["zh-Hans"],
    ),
)
_LIVE = {
    "type": "string",
    "description": (
        "Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). `id` is a number that"
        " strictly increases, also across restarts; with it as Last-Event-ID the feed resumes, or says `gap`. `event`"
        " is `flow` (data: a Flow as lists have it, again with a higher `rev` when it changes), `gap` (data: a Gap) or"
        " `health` (data: Health; first of all, on each change, and every five seconds). A comment comes every 15"
        " seconds."
    ),
}

OPERATIONS: Mapping[str, Operation] = {
    "/healthz": Operation(summary="Whether the process answers", answer=ref("State"), is_open=True),
    "/readyz": Operation(
        summary="Whether it is ready for traffic",
        answer=ref("Ready"),
        is_open=True,
        others={"503": {"description": "Not now.", "content": {JSON: {"schema": ref("Ready")}}}},
    ),
    "/api/flows": Operation(
        summary="Flows, newest first",
        parameters=(*_FILTERS, *_PAGING),
        answer=thing(
            "A page.",
            {
                "flows": {"type": "array", "items": ref("Flow")},
                "next_cursor": maybe(told(TEXT, "For the next page; null at the end.")),
            },
        ),
        refusals={400: _REFUSALS[400]},
        language=True,
    ),
    "/api/flows/{flow_id}": Operation(
        summary="One flow, with its body",
        parameters=(FLOW_ID,),
        answer=ref("Flow"),
        refusals={404: _NO_FLOW},
        language=True,
    ),
    "/api/flows/{flow_id}/before": Operation(
        summary="What has changed since it last worked",
        parameters=(FLOW_ID,),
        answer=thing(
            "Empty for a call that did not fail, and where no good one is left.",
            {
                "last_good": {"anyOf": [ref("Flow"), {"type": "null"}]},
                "changes": {
                    "type": "array",
                    "items": thing("One difference.", {"field": TEXT, "before": {}, "now": {}}),
                },
            },
        ),
        refusals={404: _NO_FLOW},
        language=True,
    ),
    "/api/flows/{flow_id}/again": Operation(
        summary="The call as a command and as a program that ask again, without its key",
        parameters=(FLOW_ID,),
        answer=thing("Both.", {"curl": TEXT, "python": TEXT}),
        refusals={404: _NO_FLOW},
    ),
    "/api/live": Operation(
        summary="What changes, as it changes",
        parameters=(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The last event that was seen; browsers send it by themselves.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
            },
        ),
        media_type="text/event-stream",
        answer=_LIVE,
        refusals={503: "Too many pages are open already."},
        language=True,
    ),
    "/api/causes": Operation(
        summary="Every cause, in short",
        answer=thing("All.", {"causes": {"type": "array", "items": ref("CauseInShort")}}),
        language=True,
    ),
    "/api/causes/{slug}": Operation(
        summary="One cause, in full",
        parameters=(in_path("slug", "Its slug.", one_of(Cause)),),
        answer=ref("Cause"),
        refusals={404: "No cause has this name."},
        language=True,
    ),
    "/api/health": Operation(summary="What the gateway says of itself", answer=ref("Health")),
    "/api/limits": Operation(summary="Limits, and what is left of them", answer=ref("Limits")),
    "/api/overview": Operation(
        summary="Failures by cause over time, and how hosts and apps have fared lately",
        parameters=(query("span", "How far back.", enum=["", *SPANS], maxLength=None), *_LANGUAGE),
        answer=thing(
            "Counted as calls end.",
            {
                "span": TEXT,
                "bucket_seconds": COUNT,
                "buckets": {"type": "array", "items": ref("Bucket")},
                "hosts": {"type": "array", "items": ref("Host")},
                "apps": {"type": "array", "items": ref("App")},
            },
        ),
        refusals={400: _REFUSALS[400]},
    ),
    "/api/doctor": Operation(
        summary="How far the doctor is, and its last report",
        answer=thing("As it is now.", checked.RUN),
        language=True,
    ),
    "/api/doctor/run": Operation(
        summary="Have the doctor look for what hinders calls",
        method="post",
        body={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "host": {"type": "string", "enum": ["", "api.openai.com", "api.anthropic.com", "chatgpt.com"]},
                "chatgpt": told(SWITCH, "Also what ChatGPT in browsers and apps needs."),
            },
        },
        answer=thing("As it is now.", checked.RUN),
    ),
    "/api/capture": Operation(
        summary="Keep whole bodies for a while, or no more",
        method="post",
        body={
            "type": "object",
            "additionalProperties": False,
            "required": ["seconds"],
            "properties": {
                "seconds": {"type": "number", "minimum": 0, "maximum": SECONDS_MAX, "description": "0 ends it."},
                "provider": _SHARE,
                "endpoint": _SHARE,
                "model": _SHARE,
            },
        },
        answer=thing("As it is now.", {"capture": maybe({"type": "object"})}),
    ),
    "/api/cache": Operation(summary="What the cache holds, saved and could save", answer=ref("Cache")),
    "/api/cache/clear": Operation(
        summary="Remove stored answers: those that fit all fields",
        method="post",
        body={
            "type": "object",
            "additionalProperties": False,
            "description": "{} removes all.",
            "properties": {
                "model": {"type": "string", "minLength": 1, "maxLength": 200, "examples": ["gpt-4o*"]},
                "key": {"type": "string", "minLength": 1, "maxLength": 200, "description": "A key's fingerprint."},
                "older_than_seconds": {"type": "number", "minimum": 0},
            },
        },
        answer=thing("Done.", {"cleared": told(COUNT, "Answers that were removed.")}),
        refusals={503: "The cache cannot be used now; nothing was removed."},
    ),
    "/api/providers": Operation(
        summary="Take on a provider by its base URL",
        method="post",
        body={
            "type": "object",
            "additionalProperties": False,
            "required": ["base_url"],
            "properties": {
                "base_url": {"type": "string", "pattern": _URL_PATTERN, "examples": ["https://relay.example/v1"]}
            },
        },
        answer=thing("Taken on.", {"base_path": told(TEXT, "The path on the gateway that leads there.")}),
    ),
    "/api/openapi.json": Operation(
        summary="This document",
        answer=thing("OpenAPI 3.1.", {"openapi": TEXT, "info": {"type": "object"}, "paths": {"type": "object"}}),
    ),
    "/metrics": Operation(summary="Figures for Prometheus", media_type="text/plain", answer=TEXT),
    "/": Operation(
        summary="The page",
        media_type="text/html",
        parameters=(
            query("token", "Signs a browser in: sets a cookie and leads to the address without it.", maxLength=None),
        ),
        answer=TEXT,
        others={"303": {"description": "Signed in.", "headers": {"Location": {"schema": TEXT}}}},
    ),
    "/trust": Operation(
        summary="How an app elsewhere trusts the gateway and finds it, as a page",
        media_type="text/html",
        answer=TEXT,
        is_open=True,
    ),
    "/ca.pem": Operation(
        summary="The certificate that apps trust, in PEM", media_type="application/x-pem-file", answer={}, is_open=True
    ),
    "/ca.crt": Operation(summary="The same in DER", media_type="application/x-x509-ca-cert", answer={}, is_open=True),
    "/static/{name}": Operation(
        summary="A file of the page",
        parameters=(in_path("name", "As the page names it.", {"type": "string", "pattern": r"^[a-z_]+\.[a-z]{2,4}$"}),),
        media_type="*/*",
        answer={},
        refusals={404: "There is no such file."},
    ),
}


def openapi(version: str) -> dict[str, Any]:
    """Give the whole document. ``version`` is the gateway's."""
    paths: dict[str, Any] = {}
    for path, operation in OPERATIONS.items():
        paths[path] = {operation.method: _operation(path, operation)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "whygate",
            "version": version,
            "summary": "What the gateway saw, decided and knows.",
            "description": (
                "All but /healthz, /readyz, /trust with its files and the certificate need the page's token, or a"
                " tenant's, which shows its own calls alone."
                " A browser's cookie opens what only reads; what"
                " changes something needs the token itself. Other methods than those here are answered with 405,"
                " HEAD with what GET would say in its head."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **SHAPES, **checked.SHAPES, **healthy.SHAPES},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`whygate start` prints it."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set by /?token=..."},
            },
        },
    }


def describe(version: str) -> Any:
    """Give the view of the document, which is made once."""
    document = orjson.dumps(openapi(version))

    async def show(_: Request) -> Response:
        return Response(document, media_type=JSON)

    return show


def _operation(path: str, told: Operation) -> dict[str, Any]:
    known: dict[str, Any] = {
        "operationId": _name(path, told.method),
        "summary": told.summary,
        "parameters": [*told.parameters, *(_LANGUAGE if told.language else ())],
        "responses": _answers(told),
    }
    if told.is_open:
        known["security"] = []
    elif told.method != "get":
        known["security"] = [{"token": []}]
    if told.body is not None:
        known["requestBody"] = {"required": True, "content": {JSON: {"schema": told.body}}}
    return known


def _answers(told: Operation) -> dict[str, Any]:
    statuses = {403, 421, 500, *told.refusals}
    if not told.is_open:
        statuses.add(401)
    if told.language:
        statuses.add(400)
    if told.body is not None:
        statuses |= {400, 413, 415}
    good: dict[str, Any] = {"description": "It is.", "content": {told.media_type: {"schema": told.answer}}}
    if told.language:
        good["headers"] = {"Content-Language": {"schema": TEXT}, "Vary": {"schema": TEXT}}
    refused = {str(status): _refusal(status, told) for status in sorted(statuses)}
    return {"200": good, **told.others, **refused}


def _refusal(status: int, told: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": ref("Error")}}
    if status == 401 and told.method == "get":
        content["text/html"] = {"schema": TEXT}
    return {"description": told.refusals.get(status) or _REFUSALS[status], "content": content}


def _name(path: str, method: str) -> str:
    words = [part.strip("{}").replace(".", "_") for part in path.split("/") if part]
    return "_".join([method, *words]) if words else f"{method}_page"
