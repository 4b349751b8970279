"""The page in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from gateway.model.flow import State
from tests.gateway.record.made import HandClock, a_call, a_concluded, a_diagnosis, a_failed_outcome, a_live
from tests.gateway.record.test_recorder import run_one
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served, serve_page
from tests.gateway.show.test_web import fail_one

ENTER, ESCAPE = "\ue007", "\ue00c"
ROWS = "document.querySelectorAll('tbody.flow').length"


def test_an_empty_page_says_how_to_begin(page: Browser) -> None:
    page.wait("!document.querySelector('#empty').hidden")
    assert "whygate run -- your command" in page.text("#empty")
    assert page.run("return location.search") == ""


def test_a_call_is_seen_running_and_then_with_its_verdict(page: Browser, served: Served) -> None:
    """Without a reload; why and what to do at a glance."""
    call = a_call()
    live = a_live(call, state=State.QUEUED, wait_reason="tokens per minute", eta_ms=9000)
    served.recorder.opened(live)
    page.wait(f"{ROWS} === 1")
    assert "tokens per minute, about" in page.text("tbody.flow.running")
    served.recorder.closed(live, a_concluded(call, diagnosis=a_diagnosis(), outcome=a_failed_outcome()))
    page.wait("document.querySelector('tbody.flow.warn')")
    text = page.text("tbody.flow")
    assert "Tokens per minute used up" in text
    assert "The organisation used" in text
    assert "Wait 12 s." in text
    assert page.run(f"return {ROWS}") == 1


def test_the_keyboard_is_enough(page: Browser, served: Served) -> None:
    """j, k, Enter, Esc and the slash."""
    run_one(served.recorder)
    failed = fail_one(served)
    page.wait(f"{ROWS} === 2")
    page.keys("j")
    page.keys(ENTER)
    page.wait("!document.querySelector('#drawer').hidden")
    page.wait("document.querySelector('#drawer').innerText.includes('What we saw')")
    page.wait(f"location.hash === '#{failed}'")
    text = page.text("#drawer")
    assert text.index("The organisation used") < text.index("What to do") < text.index("Facts")
    page.keys(ESCAPE)
    page.wait("document.querySelector('#drawer').hidden")
    page.keys("/")
    page.keys("tokens")
    page.wait(f"{ROWS} === 1")
    assert page.run("return location.search") == "?q=tokens"


def test_filters_live_in_the_address(page: Browser, served: Served) -> None:
    """A reload, or a link to a colleague at the same machine, shows the same."""
    run_one(served.recorder)
    fail_one(served)
    page.wait(f"{ROWS} === 2")
    page.click("#failures")
    page.wait(f"{ROWS} === 1")
    page.go(f"{served.url}/?cause=quota.*")
    page.wait("document.querySelector('#empty-title').innerText.includes('No call matches')")
    page.click("#clear")
    page.wait(f"{ROWS} === 2")


def test_pause_holds_the_page_still(page: Browser, served: Served) -> None:
    """New calls are counted, and there after following again."""
    page.keys("p")
    run_one(served.recorder)
    page.wait("document.querySelector('#pause').innerText.includes('1 new')")
    assert page.run(f"return {ROWS}") == 0
    page.keys("p")
    page.wait(f"{ROWS} === 1")


def test_a_lost_gateway_is_told_and_found_again(tmp_path: Path, browser: Browser) -> None:
    """Rows stay; the banner goes when it is back."""
    with serve_page(tmp_path / "flows.db", HandClock()) as served:
        browser.go(served.link)
        run_one(served.recorder)
        browser.wait(f"{ROWS} === 1")
        port = served.port
    browser.wait("!document.querySelector('#lost').hidden")
    assert "No connection to the gateway" in browser.text("#lost")
    assert browser.run(f"return {ROWS}") == 1
    with serve_page(tmp_path / "flows.db", HandClock(), port) as served:
        browser.wait("document.querySelector('#lost').hidden", 15)
        run_one(served.recorder)
        browser.wait(f"{ROWS} === 2")
    browser.go("about:blank")
    browser.complaints()


def test_bodies_that_could_not_be_kept_are_told(page: Browser, served: Served) -> None:
    """Only where there are any."""
    capture = {"provider": "openai", "endpoint": "", "model": "", "left_seconds": 60, "kept": 12, "missed": 0}
    served.health["capture"] = capture
    page.wait("document.querySelector('#capture-text').innerText.includes('12 calls so far.')")
    assert "without" not in page.text("#capture-text")
    served.health["capture"] = {**capture, "missed": 3}
    page.wait("document.querySelector('#capture-text').innerText.includes('so far. 3 more had to do without')")


def test_a_degraded_log_is_told(page: Browser, served: Served) -> None:
    """In the words of the recorder."""
    served.health["log"] = {"degraded": "The disk is full: free some space.", "dropped": 3}
    page.wait("!document.querySelector('#degraded').hidden")
    assert page.text("#degraded") == "The disk is full: free some space. 3 calls could not be kept."


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 820, 1280])
def test_it_fits_the_window(page: Browser, served: Served, width: int, dark: bool) -> None:
    """No sideways scrolling, down to a phone, in both colour schemes."""
    fail_one(served)
    page.wait(f"{ROWS} === 1")
    page.look_like(width=width, dark=dark)
    assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.click("tbody.flow button")
    page.wait("document.querySelector('#drawer').innerText.includes('Facts')")
    edges: Any = page.run(
        "const r = document.querySelector('#drawer').getBoundingClientRect(); return [r.left, r.right]"
    )
    assert edges[0] >= 0
    assert edges[1] <= width


def test_another_site_cannot_read_the_page(page: Browser, served: Served, tmp_path: Path) -> None:
    """Not even one on another port of this machine, with the reader signed in here."""
    with serve_page(tmp_path / "other.db", HandClock()) as other:
        page.go(f"{other.url}/healthz")
        script = "return fetch(arguments[0], {credentials: 'include'}).then(() => 'read', (error) => error.name)"
        assert page.run(script, f"{served.url}/api/flows") == "TypeError"
    page.go("about:blank")
    page.complaints()
