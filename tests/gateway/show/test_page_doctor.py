"""The doctor on the page: it is run by a button or a key, shows its progress, and then what it found."""

from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served
from tests.gateway.show.test_web_doctor import a_report

OPEN = "document.querySelector('#doctor').open"
FOUND = "document.querySelector('#doctor .likely') !== null"


def test_it_looks_at_once_when_nothing_is_known_and_shows_what_it_found(browser: Browser, served: Served) -> None:
    browser.go(served.link)
    browser.click("#doctor-open")
    browser.wait(OPEN)
    browser.wait("document.querySelector('#doctor [role=status]').textContent.includes('0 of 20')")
    assert served.doctor.begun == [("", False)]
    served.doctor.report, served.doctor.running = a_report(), False
    browser.wait(FOUND)
    text = browser.text("#doctor .likely")
    assert "The name gives a false address" in text
    assert "network.dns_tampered" in text
    assert browser.text("#doctor .group li.fail b") == "names"
    assert browser.text("#doctor .run") == "Look again"
    assert not browser.complaints()


def test_what_was_found_last_is_shown_without_looking_again(browser: Browser, served: Served) -> None:
    served.doctor.report = a_report()
    browser.go(served.link)
    browser.wait("document.querySelector('#link').dataset.state === 'up'")
    browser.keys("d")
    browser.wait(FOUND)
    assert served.doctor.begun == []
    browser.click("#doctor .run")
    browser.wait("document.querySelector('#doctor .run').disabled")
    assert len(served.doctor.begun) == 1
    served.doctor.running = False
    browser.wait("!document.querySelector('#doctor .run').disabled")
    browser.click("#doctor .leave")
    browser.wait(f"!{OPEN}")
