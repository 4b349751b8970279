"""What the web servers answer when nothing is wrong: providers, DNS over HTTPS, portal probes, status pages."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

from tests.network import pages, status_pages
from tests.network.dns_server import Resolver
from tests.network.faults import Fault
from tests.network.messages import Reply, Request
from tests.network.truth import SEEN_AS

GOOD_KEYS = {"openai": "sk-good", "anthropic": "sk-ant-good", "google": "AIzagood"}
"""A key that begins so is taken."""

MODELS = {
    "openai": ("gpt-4o-mini", "gpt-5", "text-embedding-3-small"),
    "anthropic": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "google": ("gemini-2.5-flash", "gemini-2.5-pro"),
}
_CAPTIVE = {
    "captive.apple.com": (200, "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"),
    "www.msftconnecttest.com": (200, "Microsoft Connect Test"),
    "www.msftncsi.com": (200, "Microsoft NCSI"),
    "connectivitycheck.gstatic.com": (204, ""),
    "detectportal.firefox.com": (200, "success\n"),
}
SLOW_SECONDS = 30.0


def _json(status: int, document: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"content-type": "application/json", **named}, edge=True)


def _html(status: int, body: str, **headers: str) -> Reply:
    return Reply(status, body.encode(), {"content-type": "text/html; charset=utf-8", **headers})


class Sites:
    """All of them.

    Args:
        faults: What is wrong; status pages and traces look there.
        resolver: Answers DNS over HTTPS.
    """

    def __init__(self, faults: Sequence[Fault], resolver: Resolver) -> None:
        self._resolver = resolver
        self._status = {fault.where[0]: fault.kind for fault in faults if fault.layer == "status"}
        self._trace = next((fault.more for fault in faults if fault.kind == "trace"), {})
        self._sites: dict[str, Callable[[Request], Reply]] = {
            "openai": self._openai,
            "anthropic": self._anthropic,
            "google": self._google,
            "chatgpt": self._chatgpt,
            "doh": self._doh,
            "captive": self._captive,
            "status-openai": self._status_openai,
            "status-claude": self._status_claude,
            "status-moved": lambda request: Reply(301, b"", {"location": f"https://status.claude.com{request.target}"}),
        }

    def answer(self, request: Request) -> Reply:
        """Answer as the site of this name does."""
        if request.site.startswith("sink-"):
            return _html(403, pages.SINKS[request.site.removeprefix("sink-")].page)
        if request.scheme == "http" and request.site != "captive":
            return Reply(301, b"", {"location": f"https://{request.host}{request.target}"}, edge=True)
        if request.path == "/cdn-cgi/trace":
            return self._traced(request)
        return self._sites.get(request.site, _web)(request)

    def _traced(self, request: Request) -> Reply:
        lines = {
            "fl": "1f1", "h": request.host, "ip": SEEN_AS, "ts": "1700000000.000", "visit_scheme": request.scheme,
            "uag": request.headers.get("user-agent", ""), "colo": "FRA", "sliver": "none", "http": "http/1.1",
            "loc": "DE", "tls": "TLSv1.3", "sni": "plaintext", "warp": "off", "gateway": "off", "rbi": "off", "kex": "X25519",
        } | self._trace  # fmt: skip
        body = "".join(f"{name}={value}\n" for name, value in lines.items())
        return Reply(200, body.encode(), {"content-type": "text/plain"}, edge=True)

    def _openai(self, request: Request) -> Reply:
        key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()

        def error(status: int, message: str, code: str | None) -> Reply:
            body = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
            return _json(status, {"error": body}, x_request_id="req_0123456789abcdef", openai_version="2020-10-01")

        if not request.path.startswith("/v1/"):
            return error(404, f"Invalid URL ({request.method} {request.path})", None)
        if not key:
            return error(401, "Missing bearer authentication in header", None)
        if not key.startswith(GOOD_KEYS["openai"]):
            return error(401, f"Incorrect API key provided: {key[:7]}****{key[-4:]}.", "invalid_api_key")
        said = {"openai_organization": "org-example", "openai_project": "proj_example", "x_request_id": "req_1"}
        listed = [
            {"id": one, "object": "model", "created": 1_700_000_000, "owned_by": "system"} for one in MODELS["openai"]
        ]
        if request.path == "/v1/models":
            return _json(200, {"object": "list", "data": listed}, **said)
        if request.path.startswith("/v1/models/"):
            name = request.path.removeprefix("/v1/models/")
            found = next((one for one in listed if one["id"] == name), None)
            return (
                _json(200, found, **said)
                if found
                else error(404, f"The model '{name}' does not exist", "model_not_found")
            )
        return error(404, f"Invalid URL ({request.method} {request.path})", None)

    def _anthropic(self, request: Request) -> Reply:
        key = request.headers.get("x-api-key", "")

        def error(status: int, kind: str, message: str) -> Reply:
            return _json(
                status,
                {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"},
                request_id="req_1",
            )

        if not request.path.startswith("/v1/"):
            return error(404, "not_found_error", "Not found")
        if not key:
            return error(401, "authentication_error", "x-api-key header is required")
        if not key.startswith(GOOD_KEYS["anthropic"]):
            return error(401, "authentication_error", "invalid x-api-key")
        listed = [{"type": "model", "id": one, "display_name": one} for one in MODELS["anthropic"]]
        if request.path == "/v1/models":
            return _json(
                200, {"data": listed, "has_more": False}, anthropic_organization_id="0a-1b", request_id="req_2"
            )
        found = next((one for one in listed if request.path == f"/v1/models/{one['id']}"), None)
        return _json(200, found) if found else error(404, "not_found_error", "Not found")

    def _google(self, request: Request) -> Reply:
        key = request.headers.get("x-goog-api-key") or parse_qs(request.query).get("key", [""])[0]

        def error(status: int, word: str, message: str) -> Reply:
            return _json(
                status,
                {"error": {"code": status, "message": message, "status": word}},
                server="scaffolding on HTTPServer2",
            )

        if "/models" not in request.path:
            reply = error(404, "NOT_FOUND", "Requested entity was not found.")
        elif not key:
            reply = error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        elif not key.startswith(GOOD_KEYS["google"]):
            reply = error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
        else:
            reply = _json(
                200,
                {"models": [{"name": f"models/{one}"} for one in MODELS["google"]]},
                server="scaffolding on HTTPServer2",
            )
        return Reply(reply.status, reply.body, reply.headers)

    def _chatgpt(self, request: Request) -> Reply:
        if request.path.startswith("/backend-api/"):
            return _json(401, {"detail": "Unauthorized"})
        return Reply(200, b"<!DOCTYPE html><title>ChatGPT</title>", {"content-type": "text/html"}, edge=True)

    def _doh(self, request: Request) -> Reply:
        """RFC 8484: the question as it goes over the wire, in the body or in the query."""
        if request.path != "/dns-query":
            return _html(404, "not found")
        wire = request.body
        if request.method == "GET":
            text = parse_qs(request.query).get("dns", [""])[0]
            try:
                wire = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            except binascii.Error:
                wire = b""
        replies = self._resolver.replies(wire, request.address, "doh")
        if not replies:
            return _html(400, "no question")
        seconds, answer = replies[-1]
        return Reply(200, answer, {"content-type": "application/dns-message"}, after_seconds=seconds)

    def _captive(self, request: Request) -> Reply:
        status, body = _CAPTIVE[request.host]
        return Reply(status, body.encode(), {"content-type": "text/html" if "<" in body else "text/plain"})

    def _status_openai(self, request: Request) -> Reply:
        return self._status_page("openai", status_pages.openai, request)

    def _status_claude(self, request: Request) -> Reply:
        return self._status_page("claude", status_pages.claude, request)

    def _status_page(self, name: str, page: Callable[[str, str], tuple[int, Any] | None], request: Request) -> Reply:
        state = self._status.get(name, "")
        if state == "html":
            return _html(200, "<!DOCTYPE html><title>Status</title>")
        if state == "error":
            return _html(503, "<h1>Service Unavailable</h1>")
        found = page(request.path, state)
        if found is None:
            return _html(404, "not found")
        wait_seconds = SLOW_SECONDS if state == "slow" else 0.0
        return Reply(
            found[0], status_pages.body(found[1]), {"content-type": "application/json"}, after_seconds=wait_seconds
        )


def _web(request: Request) -> Reply:
    if request.path.startswith("/v1"):
        return _json(404, {"error": "not found"})
    return Reply(
        200, f"<!DOCTYPE html><title>{request.host}</title>".encode(), {"content-type": "text/html"}, edge=True
    )
