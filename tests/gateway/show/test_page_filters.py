"""What the reader looks for: each filter, the address in which it lives, and the way out."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.record.row import utc_text
from tests.gateway.record.made import EPOCH, a_row, until
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served

IDS = "[...document.querySelectorAll('tbody.flow')].map((one) => one.dataset.id)"
HEADERS = (("user-agent", "OpenAI/Python 3.54.0"),)


@pytest.fixture
def page(served: Served, browser: Browser) -> Browser:
    told: list[dict[str, Any]] = [
        {"id": "plain", "app": "python3 app.py (pid 7)", "request_headers": HEADERS},
        {"id": "other-app", "app": "python3 app.py (pid 71)"},
        {"id": "other-model", "model": "gpt-5"},
        {"id": "other-tenant", "tenant": "research"},
        {"id": "limited", "status": 429, "cause": "rate_limit.tokens", "fault": "caller"},
        {"id": "broken", "status": 503, "cause": "provider.server_error", "fault": "provider"},
        {
            "id": "nameless",
            "status": None,
            "cause": "network.dns_nxdomain",
            "fault": "network",
            "provider": "anthropic",
        },
        {"id": "old", "started_at": utc_text(EPOCH - 7200)},
    ]
    for seq, one in enumerate(told, 1):
        served.recorder.recorded(a_row(seq, **({"started_at": utc_text(EPOCH + seq)} | one)))
    until(lambda: served.recorder.health()["written"] == len(told))
    browser.look_like(width=1280)
    browser.go(served.link)
    browser.wait("document.querySelectorAll('tbody.flow').length === 8")
    return browser


def _choose(page: Browser, name: str, value: str) -> None:
    page.run(
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        " one.dispatchEvent(new Event('change'))",
        name,
        value,
    )


def _shown(page: Browser, *ids: str) -> None:
    page.wait(f"{IDS}.sort().join() === '{','.join(sorted(ids))}'")


CHOICES = [
    ("provider", "anthropic", ["nameless"]),
    ("cause", "rate_limit.tokens", ["limited"]),
    ("cause", "*", ["limited", "broken", "nameless"]),
    ("fault", "provider", ["broken"]),
    ("status", "5xx", ["broken"]),
    ("status", "429", ["limited"]),
    ("model", "gpt-5", ["other-model"]),
    ("tenant", "research", ["other-tenant"]),
    ("app", "python3 app.py (pid 7)", ["plain"]),
]


@pytest.mark.parametrize(("name", "value", "ids"), CHOICES)
def test_a_filter_shows_those_and_no_others_and_lives_in_the_address(
    page: Browser, served: Served, name: str, value: str, ids: list[str]
) -> None:
    """At once from what is known, the same from the gateway, and the same after a reload."""
    _choose(page, name, value)
    _shown(page, *ids)
    address = page.run("return location.href")
    assert parse_qs(urlsplit(address).query) == {name: [value]}
    page.go("about:blank")
    page.go(address)
    _shown(page, *ids)
    assert page.run("return document.getElementById(arguments[0]).value", name) == value


def test_filters_are_put_together_and_can_be_taken_away_one_by_one(page: Browser, served: Served) -> None:
    _choose(page, "cause", "*")
    _choose(page, "status", "4xx")
    _shown(page, "limited")
    assert page.text("#chosen").startswith("status 4xx")
    page.click("#chosen button")
    _shown(page, "limited", "broken", "nameless")
    assert page.run("return document.querySelector('#chosen').hidden")


def test_back_and_forward_change_what_is_shown(page: Browser) -> None:
    """Here an anchor of the page, as its skip link is one, made the second entry."""
    page.run("document.querySelector('.skip').click()")
    _choose(page, "status", "4xx")
    _shown(page, "limited")
    page.run("history.back()")
    page.wait("document.querySelectorAll('tbody.flow').length === 8")
    assert page.run("return document.getElementById('status').value") == ""
    assert page.run("return document.querySelector('#chosen').hidden")
    page.run("history.forward()")
    _shown(page, "limited")
    assert page.text("#chosen").startswith("status 4xx")
    assert page.run("return location.search + location.hash") == "?status=4xx#flows"


def test_a_call_is_opened_and_closed_by_the_address(page: Browser) -> None:
    """Changed by hand, or by Back. An anchor of the page is no call, and closes none."""
    head = "document.querySelector('#drawer:not([hidden])')?.innerText.includes('gpt-5-mini')"
    page.run("location.hash = '#plain'")
    page.wait(f"{head} && {IDS}.length === 8")
    page.run("location.hash = '#other-model'")
    page.wait("document.querySelector('tbody.selected').dataset.id === 'other-model'")
    page.run("document.querySelector('.skip').click()")
    page.wait("location.hash === '#flows'")
    assert not page.run("return document.querySelector('#drawer').hidden")
    page.run("location.hash = ''")
    page.wait("document.querySelector('#drawer').hidden")
    page.run("history.go(-3)")
    page.wait(head)
    assert page.run("return document.querySelector('tbody.selected').dataset.id") == "plain"


def test_a_call_that_nobody_knows_is_told_and_leaves_the_address(page: Browser) -> None:
    page.run("location.hash = '#nobody'")
    page.wait("document.querySelector('#lost').innerText.includes('No flow with this id')")
    page.wait("location.hash === '' && document.querySelector('#drawer').hidden")


def test_a_span_of_time_in_the_address_is_kept_to(page: Browser, served: Served) -> None:
    since, before = utc_text(EPOCH - 8000), utc_text(EPOCH)
    page.go(f"{served.url}/?since={since}&until={before}")
    _shown(page, "old")
    served.recorder.recorded(a_row(99, id="new", started_at=utc_text(EPOCH + 60)))
    until(lambda: served.recorder.health()["written"] == 9)
    page.run("return new Promise((done) => setTimeout(done, 500))")
    _shown(page, "old")
    assert "since" in page.text("#chosen")
    page.click("#chosen [data-name=until]")
    page.click("#chosen [data-name=since]")
    page.wait("document.querySelectorAll('tbody.flow').length === 9")


def test_a_live_call_that_does_not_fit_stays_away(page: Browser, served: Served) -> None:
    _choose(page, "model", "gpt-5")
    _shown(page, "other-model")
    served.recorder.recorded(a_row(50, id="stranger", started_at=utc_text(EPOCH + 60)))
    served.recorder.recorded(a_row(51, id="friend", model="gpt-5", started_at=utc_text(EPOCH + 61)))
    _shown(page, "friend", "other-model")


def test_a_filter_that_means_nothing_is_told(page: Browser, served: Served) -> None:
    page.go(f"{served.url}/?status=teapot")
    page.wait("!document.querySelector('#lost').hidden")
    assert page.text("#lost") == "The gateway does not understand these filters."


def test_the_menu_of_filters_works_with_the_keyboard(page: Browser, served: Served) -> None:
    page.run("document.querySelector('#more-filters summary').focus()")
    page.keys("\ue007")
    page.wait("document.querySelector('#more-filters').open")
    page.keys("\ue004")
    assert page.run("return document.activeElement.id") == "since"
    page.keys("\ue00c")
    page.wait("!document.querySelector('#more-filters').open")
    assert page.run("return document.activeElement.matches('#more-filters summary')")
