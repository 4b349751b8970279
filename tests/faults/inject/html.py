"""A page for people in place of an answer: of a network, a filter, or the edge in front of the provider."""

from tests.faults.upstream import Exchange, Fault

LOGIN = (
    "<!doctype html><html><head><title>Guest WiFi - Sign in</title></head><body><h1>Welcome to our hotel</h1>"
    "<form action='/login' method='post'><p>Please log in to use the internet.</p><input name='room'></form></body></html>"
)
BLOCKED = (
    "<html><head><title>Web Page Blocked!</title></head><body><h1>FortiGuard Intrusion Prevention - Access Blocked</h1>"
    "<p>You have tried to access a web page which is in violation of your internet usage policy.</p></body></html>"
)
CHALLENGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><noscript>Enable JavaScript and cookies to"
    " continue</noscript><script>window._cf_chl_opt={cvId:'3'};</script></body></html>"
)
CLOUDFLARE = {"server": "cloudflare", "cf-ray": "8f0a1b2c3d4e5f60-FRA"}


def page(status: int, html: str, *, headers: dict[str, str] | None = None, filler_bytes: int = 0) -> Fault:
    """Answer with a page, made longer at its end by so much."""
    body = html.encode() + b"<!--" + b"." * filler_bytes + b"-->"

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        named = {"content-type": "text/html; charset=utf-8", **(headers or {})}
        await exchange.write_head(status, named, len(body))
        await exchange.write(body)

    return fault


def edge_error(status: int) -> Fault:
    """Give Cloudflare's own page for a status from 520 to 527."""
    html = (
        f"<!DOCTYPE html><html><head><title>api.example.com | {status}: Web server is unreachable</title></head><body>"
        f"<span>Error code {status}</span><p>The web server reported an unknown error.</p>"
        "<span>Performance &amp; security by Cloudflare</span></body></html>"
    )
    return page(status, html, headers=CLOUDFLARE)
