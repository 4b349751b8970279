"""What apps and providers write is only ever text: in the table, in the drawer, in the overview, in the address."""

from typing import Any
from urllib.parse import quote

from gateway.model.flow import FlowRow
from gateway.record.row import utc_text
from tests.gateway.record.made import EPOCH, a_row, until
from tests.gateway.show.attacks import ATTACKS
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served

HIDDEN = set("\u202e\u2066\x1b\x00\x9b\u200b\ufeff")
OURS = "header, footer, main, #drawer, dialog, details, #banners"
BUILT = ", ".join(
    f":is(table, #drawer, .cards, .counters, #chosen) {tag}"
    for tag in (
        "script", "img", "iframe", "object", "video", "style", "link", "base", "meta", "form", "marquee", "template", "input",
        "textarea", "math", "svg animate", "svg use", "a[href^='javascript:']", "[onerror]", "[onload]", "[onclick]", "[onfocus]",
    )
)  # fmt: skip


def _full_of(seq: int, attack: str) -> FlowRow:
    said: dict[str, Any] = {
        "cause": "rate_limit.tokens",
        "fault": "caller",
        "precision": "declared",
        "title": attack,
        "what_happened": attack,
        "evidence": [attack],
        "ruled_out": [attack],
        "alternatives": [attack],
        "what_to_do": [attack, attack],
    }
    failure = {"phase": "connect", "code": attack, "detail": attack, "sent": False}
    phases = [{"name": attack, "start_ms": 0.0, "end_ms": 40.0, "ok": False}]
    attempts = ({"n": 1, "waited_ms": 5.0, "phases": phases, "status": None, "failure": failure, "fallback": attack},)
    return a_row(
        seq, id=f"attack-{seq:018d}", started_at=utc_text(EPOCH), client=attack, app=attack, tenant=attack, key=attack,
        provider=attack, method=attack, host=attack, path=attack, endpoint=attack, model=attack, wait_reason=attack,
        status=400, cause="rate_limit.tokens", fault="caller", precision="declared", attempts=attempts, fallback=attack,
        total_ms=50.0, ttft_ms=40.0, diagnosis=said, body=attack,
        request_headers=(("user-agent", attack),), response_headers=(("server", attack), ("x-request-id", attack)),
    )  # fmt: skip


def test_two_hundred_attacks_in_every_field_stay_text(served: Served, browser: Browser) -> None:
    """Nothing runs, nothing is built, nothing is fetched; what would hide or turn round text is shown as what it is."""
    for seq, attack in enumerate(ATTACKS, 1):
        served.recorder.recorded(_full_of(seq, attack))
    until(lambda: served.recorder.health()["written"] == len(ATTACKS), 20)
    browser.look_like(width=1280)
    browser.go(served.link)
    browser.complaints()
    browser.wait("document.querySelector('tbody.flow')")
    browser.keys("o")
    browser.run("scrollTo(0, 1500)")
    browser.wait("document.querySelector('#counters .all b')?.textContent !== '100' || scrollTo(0, scrollY + 2000)")
    browser.run("scrollTo(0, 0)")
    browser.keys("j\ue007")
    for seq, attack in sorted(enumerate(ATTACKS, 1), reverse=True):
        browser.wait(f"location.hash === '#attack-{seq:018d}'")
        assert browser.run("return window.hacked ?? null") is None, attack
        assert browser.run("return document.querySelectorAll(arguments[0]).length", BUILT) == 0, attack
        assert not set(browser.run("return document.body.innerText")) & HIDDEN, attack
        browser.keys("j")
    assert browser.complaints() == []


def test_an_attack_in_the_address_stays_text(served: Served, browser: Browser) -> None:
    browser.go(served.link)
    for attack in ATTACKS[::25]:
        for name in ("q", "model", "cause", "app", "status", "since"):
            browser.go(f"{served.url}/?{name}={quote(attack[:150])}#{quote(attack[:50])}")
            browser.run("location.reload()")
            browser.wait("document.readyState === 'complete' && document.querySelector('#link-text')?.textContent")
            assert browser.run("return window.hacked ?? null") is None, (name, attack)
            assert browser.run("return document.querySelectorAll(arguments[0]).length", BUILT) == 0, (name, attack)
    browser.go("about:blank")
    browser.complaints()
