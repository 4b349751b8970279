"""Who may see the page: decided before anything is routed, on the request's own headers."""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import orjson
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.show.viewer import ADMIN, Viewer, admit

COOKIE = "whygate_token"
OPEN_PATHS = frozenset({
    *("/healthz", "/readyz", "/trust", "/ca.pem", "/ca.crt"),
    *("/static/style.css", "/static/trust.css", "/static/icon.svg"),
    *("/static/trust.js", "/static/copy.js", "/static/dom.js", "/static/words.js"),
})  # fmt: skip
"""What tells nothing of calls: whether it answers, and how to trust it, with what that page is made of."""
PAGES = frozenset({"/", "/trust"})
WRITE_PATHS = frozenset({"/api/providers", "/api/cache/clear", "/api/capture"})
"""What changes something: asked with POST, and with the token itself. A browser's cookie opens what only reads."""
RUN_PATHS = frozenset({"/api/doctor/run"})
"""What only looks, though it takes a while: asked with POST, and the cookie is enough where the page itself asks."""
_POST_PATHS = WRITE_PATHS | RUN_PATHS
_READS = frozenset({"GET", "HEAD"})
_SECURITY = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
            b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_LOCKED_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:34em;margin:18vh auto;padding:0 24px}h1{font-size:22px}"
    "code{font:.92em ui-monospace,monospace;background:#8882;padding:2px 6px;border-radius:5px}"
)
_LOCKED_PAGE = f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>whygate</title><style>{_LOCKED_STYLE}</style>
<h1>This page needs its link</h1>
<p>The link holds a token. <code>whygate start</code> prints it when it starts: look for <code>?token=</code> in that
terminal, and open the link here.</p>
<p>You followed it already? <a href="/">Open the page</a></p></html>"""
# The one page without files of its own: files need the token.
_LOCKED_HASH = b64encode(hashlib.sha256(_LOCKED_STYLE.encode()).digest()).decode()
_LOCKED_POLICY = f"default-src 'none'; style-src 'sha256-{_LOCKED_HASH}'; base-uri 'none'; frame-ancestors 'none'"


class Refusal(NamedTuple):
    """Why a request is not let in."""

    status: int
    code: str
    message: str
    allow: str = ""


class Guard:
    """ASGI middleware in front of the page."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        allowed_hosts: frozenset[str],
        readers: Mapping[str, tuple[str, bool]] | None = None,
    ) -> None:
        """Guard ``app``. A host without a port in ``allowed_hosts`` stands for every port of it.

        Args:
            readers: Tenant's name -> its token, and whether it sees everything, as ``token`` does.
        """
        self._app = app
        self._tickets = [_Ticket.of(token, ADMIN)]
        for name, (theirs, sees_all) in (readers or {}).items():
            self._tickets.append(_Ticket.of(theirs, ADMIN if sees_all else Viewer(name)))
        self._hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is not allowed, pass on the rest."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        answer = self._answer(scope, headers)
        await (answer or self._app)(scope, receive, _secured(send))

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Give our own answer, or None to let the request in."""
        refusal = self._refusal(scope, headers)
        if refusal:
            response = error(refusal.status, refusal.code, refusal.message)
            if refusal.allow:
                response.headers["allow"] = refusal.allow
            return response
        path = scope["path"]
        if path in OPEN_PATHS:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
        if path == "/" and scope["method"] == "GET" and given and (ticket := self._ticket(given.encode())):
            response = RedirectResponse("/", status_code=303)
            response.set_cookie(COOKIE, ticket.cookie.decode(), httponly=True, samesite="strict", path="/")
            return response
        writes = scope["method"] not in _READS
        by_page = scope["path"] in RUN_PATHS and headers.get("origin") is not None  # it is our own, or it was refused
        shown = self._bears(headers) or (self._remembers(headers) if not writes or by_page else None)
        if shown is not None:
            if not shown.may_ask(scope["method"], path):
                return _not_for_members(shown)
            admit(scope, shown)
            return None
        if not writes and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_LOCKED_PAGE, 401, {"content-security-policy": _LOCKED_POLICY})
        return error(
            401,
            "unauthorized",
            "Send the page token as 'Authorization: Bearer ...'. `whygate start` prints it, and it stands in"
            " runtime.json of the state directory.",
        )

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return Refusal(
                421,
                "wrong_host",
                "This address is not served here. Open the page under the address that `whygate start` printed, or"
                " add the name to [page] allowed_hosts.",
            )
        allowed = {"POST"} if scope["path"] in _POST_PATHS else _READS
        if scope["method"] not in allowed:
            told = "Use POST here." if scope["path"] in _POST_PATHS else "This only reads: use GET."
            # RFC 9110 section 15.5.6: such an answer has to name what is allowed.
            return Refusal(405, "method_not_allowed", told, ", ".join(sorted(allowed)))
        # Following a link to a page is harmless: it shows nothing that the cookie does not unlock.
        navigation = (
            scope["path"] in PAGES
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        foreign = origin is not None and _authority(origin) != hosts[0].lower()
        if foreign or (site not in {"same-origin", "none"} and not navigation):
            return Refusal(403, "foreign_origin", "Another site asked for this. Open the page directly.")
        return None

    def _is_ours(self, host: str) -> bool:
        host = host.lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return host in self._hosts or name in self._hosts or name.strip("[]") in self._hosts

    def _bears(self, headers: Headers) -> Viewer | None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        ticket = self._ticket(given.strip().encode()) if scheme.lower() == "bearer" else None
        return None if ticket is None else ticket.viewer

    def _remembers(self, headers: Headers) -> Viewer | None:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        given = b"" if morsel is None else morsel.value.encode()
        found = [ticket.viewer for ticket in self._tickets if _same(given, ticket.cookie)]
        return found[0] if found else None

    def _ticket(self, given: bytes) -> "_Ticket | None":
        """Give whose token it is. Takes the same time whosever it is."""
        asked = hashlib.sha256(given).digest()
        found = [ticket for ticket in self._tickets if _same(asked, ticket.token)]
        return found[0] if found else None


class _Ticket(NamedTuple):
    """One who may see the page: a digest of the token, what its browser keeps, and what it sees."""

    token: bytes
    cookie: bytes
    viewer: Viewer

    @classmethod
    def of(cls, token: str, viewer: Viewer) -> Self:
        """Make it."""
        # Cookies are sent to every port of a host, so they hold a derived value and not the token itself.
        cookie = hmac.digest(token.encode(), b"whygate page cookie", hashlib.sha256).hex()
        return cls(hashlib.sha256(token.encode()).digest(), cookie.encode(), viewer)


def _not_for_members(viewer: Viewer) -> Response:
    return error(
        403,
        "admin_only",
        f"This is the token of the tenant {viewer.tenant}, which sees its own calls and changes nothing here. Use the"
        " page's token, or that of a tenant with admin = true.",
    )


def error(status: int, code: str, message: str) -> Response:
    """Give an error as every part of the page API writes it."""
    return Response(
        orjson.dumps({"error": {"code": code, "message": message}}), status_code=status, media_type="application/json"
    )


def no_such_flow() -> Response:
    """Give the error of a path that names a flow of which nothing is known."""
    return error(404, "no_such_flow", "No flow with this id is in the log. It may have been deleted by age.")


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _same(given: bytes, expected: bytes) -> bool:
    return secrets.compare_digest(given, expected)


def _secured(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            named = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in _SECURITY if pair[0] not in named)]
        await send(message)

    return with_headers
