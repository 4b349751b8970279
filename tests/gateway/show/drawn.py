"""Draws the page's drawer for a row that a test made up, in a real browser."""

from typing import Any

from tests.gateway.record.made import a_row
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served

TAGS = {"en": "en-GB,en,zh", "zh": "zh-CN,zh,en", "it": "fr,it-IT,en"}
_DRAW = """
const [flow] = arguments;
return import("/static/drawer.js").then(({ drawDrawer }) => {
  const drawer = document.querySelector("#drawer");
  drawer.replaceChildren(...drawDrawer(flow, { close() {}, copy() {}, filter() {}, open() {} }));
  drawer.hidden = false;
});
"""


def sign_in(browser: Browser, served: Served, language: str = "en", **looks: Any) -> Browser:
    """Open the page as a reader of a language."""
    browser.look_like(**({"width": 1280} | looks))
    browser._devtools("Emulation.setUserAgentOverride", {"userAgent": "test", "acceptLanguage": TAGS[language]})
    browser.go(served.link)
    browser.wait("document.querySelector('#link').dataset.state === 'up'")
    return browser


def phase(name: str, start_ms: float, end_ms: float, *, ok: bool = True) -> dict[str, Any]:
    """Give a stretch of an attempt as rows have it."""
    return {"name": name, "start_ms": start_ms, "end_ms": end_ms, "ok": ok}


def an_attempt(number: int, *phases: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Give an attempt as rows have it."""
    return {"n": number, "waited_ms": 0.0, "phases": list(phases), "status": 200, "failure": None} | changes


REFUSED = {"phase": "connect", "code": "connection_refused", "detail": "nobody listens there", "sent": False}
FIRST = an_attempt(1, phase("dns", 0, 20), phase("connect", 20, 1000, ok=False), status=None, failure=REFUSED)
SECOND = an_attempt(
    2, phase("pool", 0, 10), phase("dns", 10, 30), phase("connect", 30, 130), phase("tls", 130, 330), phase("send", 330, 400),
    phase("first_byte", 400, 1400), phase("body", 1400, 2000), waited_ms=500.0,
)  # fmt: skip


def a_flow(**changes: Any) -> dict[str, Any]:
    """Give a call that waited 0.5 s in our queue, failed for 1 s, waited 0.5 s and was answered in 2 s."""
    values: dict[str, Any] = {
        "host": "api.openai.com", "path": "/v1/chat/completions", "method": "POST", "endpoint": "chat.completions",
        "attempts": [FIRST, SECOND], "queue_ms": 500.0, "total_ms": 4000.0, "ttft_ms": 3400.0, "overhead_ms": 0.4,
        "tokens_in": 1_000, "tokens_out": 200,
    }  # fmt: skip
    known = a_row(7).as_dict()
    return known | {"cost_usd": None, "saved_usd": None} | values | changes


def draw(page: Browser, flow: dict[str, Any]) -> None:
    """Show a row in the drawer."""
    page.run(_DRAW, flow)
