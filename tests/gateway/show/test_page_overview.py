"""The overview: failures over time, limits, providers and apps, each a way into the list."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.record.row import utc_text
from tests.gateway.record.made import EPOCH, a_row, until
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served

ENTER = "\ue007"
SCOPE: dict[str, Any] = {
    "provider": "openai", "account": "1f2e", "account_kind": "key", "model": "gpt-5-mini", "state": "waiting",
    "paused_ms": None, "pause_reason": None, "in_flight": 3, "queued": 12, "next_eta_ms": 200, "last_eta_ms": 8_000,
    "demand_per_second": 4.0, "next_429_seconds": None, "users": [],
    "limits": [
        {"kind": "requests", "limit": 500, "window_seconds": 60.0, "level": 31.6, "level_ratio": 0.0632},
        {"kind": "tokens", "limit": 200_000, "window_seconds": 60.0, "level": 141_000.0, "level_ratio": 0.7},
    ],
}  # fmt: skip


def _calls(served: Served) -> None:
    told: list[dict[str, Any]] = [
        *[{"cause": "quota.exhausted", "fault": "policy"}] * 4,
        *[{"cause": "provider.server_error", "fault": "provider"}] * 3,
        *[{}] * 5,
        {"cause": "quota.exhausted", "fault": "policy", "started_at": utc_text(EPOCH - 3000)},
    ]
    for seq, one in enumerate(told, 1):
        plain = {"started_at": utc_text(EPOCH), "host": "api.openai.com", "attempts": ({"n": 1},), "ttft_ms": 250.0}
        served.recorder.recorded(a_row(seq, **(plain | {"app": "python3 app.py (pid 7)"} | one)))
    until(lambda: served.recorder.health()["written"] == len(told))


@pytest.fixture
def page(served: Served, browser: Browser) -> Browser:
    _calls(served)
    served.limits.update(waiting=12, scopes=[SCOPE])
    browser.look_like(width=1280)
    browser.go(served.link)
    browser.run("localStorage.clear()")
    browser.go(served.url)
    browser.wait("document.querySelector('.card.apps li')")
    return browser


def _query(page: Browser) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.run("return location.href")).query)


def test_failures_are_shown_by_cause_and_over_time(page: Browser) -> None:
    text = page.text(".card.failures")
    assert "8 failed of 13 calls, last hour" in text
    page.wait("document.querySelector('.card.failures').innerText.includes('Credit is used up 5')")
    assert "highest bar: 7" in text
    assert page.run("return document.querySelectorAll('.chart .hit').length") == 2
    assert page.run("return document.querySelector('.chart svg').getAttribute('aria-label')").startswith("8 failed of")


def test_a_cause_a_bar_and_an_app_lead_to_their_calls(page: Browser) -> None:
    page.run("document.querySelector('.causes button').click()")
    page.wait("document.querySelectorAll('tbody.flow').length === 5")
    assert _query(page) == {"cause": ["quota.exhausted"]}
    page.run("document.querySelector('#failures').click(); document.querySelector('#failures').click()")
    page.run("document.querySelector('.chart .hit').dispatchEvent(new Event('click'))")
    page.wait("document.querySelectorAll('tbody.flow').length === 1")
    found = _query(page)
    assert found["since"][0] <= utc_text(EPOCH - 3000) < found["until"][0]
    page.run("for (const one of [...document.querySelectorAll('#chosen button')]) one.click()")
    page.wait("document.querySelector('#chosen').hidden")
    page.run("document.querySelector('.card.apps button').click()")
    page.wait("location.search.includes('app=')")
    assert _query(page) == {"app": ["python3 app.py (pid 7)"]}


def test_a_span_can_be_chosen_with_the_keyboard_and_keeps_the_focus(page: Browser) -> None:
    page.run("document.querySelectorAll('.spans button')[2].focus()")
    page.keys(ENTER)
    page.wait("document.querySelectorAll('.spans button')[2].getAttribute('aria-pressed') === 'true'")
    assert "last 24 hours" in page.text(".card.failures")
    assert page.run("return document.activeElement.dataset.focus") == "span 24h"


def test_limits_show_what_is_left_and_who_waits(page: Browser) -> None:
    text = page.text(".card.limits")
    assert "12 calls wait" in text
    assert "31 of 500 requests per 60 s" in text
    assert "141k of 200k tokens" in text
    assert "12 wait, the last for about 8 s" in text
    widths = page.run("return [...document.querySelectorAll('.gauge > span')].map((one) => one.style.width)")
    assert widths == ["6.32%", "70%"]


def test_providers_show_how_they_fare(page: Browser) -> None:
    text = page.text(".card.hosts")
    assert "api.openai.com" in text
    assert "had failures" in text
    assert "first byte 250 ms" in text
    assert page.run("return document.querySelector('.card.hosts a').href") == "https://status.openai.com/"


def test_it_is_open_or_closed_as_the_reader_left_it(page: Browser, served: Served) -> None:
    assert page.run("return document.querySelector('#overview').open")
    page.keys("o")
    page.wait("!document.querySelector('#overview').open")
    page.go("about:blank")
    page.go(served.url)
    page.wait("document.querySelectorAll('tbody.flow').length === 13")
    assert not page.run("return document.querySelector('#overview').open")
    page.click("#overview summary")
    page.wait("document.querySelector('#overview').open")
    page.go("about:blank")
    page.go(served.url)
    page.wait("document.querySelector('.card.apps li')")


def test_on_a_phone_the_calls_come_first(page: Browser, served: Served) -> None:
    page.run("localStorage.clear()")
    page.look_like(width=360)
    page.go("about:blank")
    page.go(served.url)
    page.wait("document.querySelectorAll('tbody.flow').length > 3")
    assert not page.run("return document.querySelector('#overview').open")
    page.click("#overview summary")
    page.wait("document.querySelector('.card.apps li')")
    assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.look_like(width=1280)


@pytest.mark.parametrize(
    ("state", "told"), [({}, "No limit is known yet"), ({"shadow": True}, "Limits are only watched")]
)
def test_what_is_not_known_is_said(served: Served, browser: Browser, state: dict[str, Any], told: str) -> None:
    served.limits.update(state)
    browser.look_like(width=1280)
    browser.go(served.link)
    browser.run("localStorage.clear()")
    browser.go(served.url)
    browser.wait(f"document.querySelector('.card.limits')?.innerText.includes('{told}')")
    assert "No app has called" in browser.text(".card.apps")
    assert "No provider was asked" in browser.text(".card.hosts")
