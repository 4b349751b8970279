"""What the cache saved and could save, on the page in a real browser."""

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.record.made import a_call, a_concluded, a_live
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served

SAVED = {"calls": 37, "tokens_in": 12_000, "tokens_out": 300, "usd": 0.0412, "unpriced_calls": 0}
NOTHING = {"calls": 0, "tokens_in": 0, "tokens_out": 0, "usd": 0.0, "unpriced_calls": 0}
ATTACK = "<img src=x onerror='window.hacked=1'>\u202e"


def a_suggestion(**changes: Any) -> dict[str, Any]:
    return {
        "provider": "openai", "endpoint": "chat.completions", "model": "gpt-4o", "system_sha256": "ab" * 32, "seen": 37,
        "prompts": 3, "calls": 34, "tokens_in": 12_000, "tokens_out": 300, "usd": 0.0412, "varied": False,
        "rule": '[[cache.rules]]\nname = "static-gpt-4o"\n',
    } | changes  # fmt: skip


def tell(served: Served, **changes: Any) -> None:
    served.cache.update(
        {"enabled": True, "degraded": None, "entries": 0, "size_bytes": 0, "saved": NOTHING, "suggestions": []}
        | changes
    )


def look(browser: Browser, served: Served) -> Browser:
    """Open the page and wait until it has asked for the cache and drawn what it was told."""
    browser.look_like(width=1280)
    browser.go(served.link)
    browser.wait("performance.getEntriesByName(location.origin + '/api/cache?lang=en').length")
    browser.run("return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
    return browser


def test_what_was_saved_is_one_line(browser: Browser, served: Served) -> None:
    tell(served, saved=SAVED, entries=1_203, size_bytes=12_300_000)
    page = look(browser, served)
    page.wait("!document.querySelector('#cache').hidden")
    assert [line for line in page.text("#cache").split("\n") if line] == [
        "Cache",
        "37 calls answered without buying them",
        "12.3k tokens",
        "about $0.04",
        "1,203 answers stored (12.3 MB)",
    ]
    assert page.complaints() == []


@pytest.mark.parametrize("cache", [{"enabled": False}, {"entries": 12, "size_bytes": 5_000}])
def test_without_anything_saved_or_suggested_nothing_is_shown(
    browser: Browser, served: Served, cache: dict[str, Any]
) -> None:
    tell(served, **cache)
    assert look(browser, served).run("return document.querySelector('#cache').hidden")


def test_a_suggestion_is_numbers_and_a_rule_to_copy(browser: Browser, served: Served) -> None:
    tell(
        served,
        suggestions=[a_suggestion(), a_suggestion(varied=True, system_sha256=""), a_suggestion(), a_suggestion()],
    )
    page = look(browser, served)
    page.wait("document.querySelectorAll('#cache li').length === 3")
    text = page.text("#cache")
    assert "openai gpt-4o chat.completions · system prompt abababab" in text
    assert "seen 37 times, would have saved 34 calls, 12.3k tokens, about $0.04" in text
    assert text.count("Careful:") == text.count("takes every request") == 1
    assert "[[cache.rules]]" not in text
    page.click("#cache li summary")
    assert '[[cache.rules]]\nname = "static-gpt-4o"' in page.text("#cache")
    page.click("#cache li button")
    page.wait("document.querySelector('#cache li button').textContent !== 'Copy rule'")
    assert page.complaints() == []


def test_names_of_models_are_only_text(browser: Browser, served: Served) -> None:
    tell(served, suggestions=[a_suggestion(model=ATTACK, endpoint=ATTACK, rule=ATTACK)])
    page = look(browser, served)
    page.wait("document.querySelectorAll('#cache li').length === 1")
    page.click("#cache li summary")
    assert page.text("#cache").count("<img src=x") == 3
    assert page.run("return document.querySelectorAll('#cache img').length") == 0
    assert page.run("return window.hacked") is None
    assert "\u202e" not in page.text("#cache")
    assert page.complaints() == []


def test_news_come_without_a_reload_and_leave_open_what_is_open(browser: Browser, served: Served) -> None:
    """The page asks every ten seconds; here the clock that it looks at is put forward."""
    tell(served, suggestions=[a_suggestion()])
    page = look(browser, served)
    page.wait("document.querySelectorAll('#cache li').length === 1")
    page.click("#cache li summary")
    tell(served, suggestions=[a_suggestion(seen=38)], saved=SAVED)
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    assert "seen 37 times" in page.text("#cache"), "not asked twice at once"
    page.run("const real = performance.now.bind(performance); performance.now = () => real() + 10000;")
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait("document.querySelector('#cache').innerText.includes('seen 38 times')")
    assert "[[cache.rules]]" in page.text("#cache")
    assert page.run("return document.activeElement.tagName") == "SUMMARY"


def test_on_a_small_screen_the_suggestions_are_folded(browser: Browser, served: Served) -> None:
    """The calls come first."""
    tell(served, suggestions=[a_suggestion()])
    browser.look_like(width=360)
    browser.go(served.link)
    browser.wait("document.querySelector('#cache summary')")
    assert "seen 37 times" not in browser.text("#cache")
    browser.click("#cache summary")
    assert "seen 37 times" in browser.text("#cache")


def test_a_store_in_trouble_is_said(browser: Browser, served: Served) -> None:
    tell(served, saved=SAVED, entries=None, size_bytes=None, degraded="the disk is full")
    page = look(browser, served)
    page.wait("!document.querySelector('#cache').hidden")
    assert "cannot be used now" in page.text("#cache .careful")


@pytest.mark.parametrize("word", ["hit", "stored", "collapsed", "stale"])
def test_each_word_of_the_cache_is_explained_where_it_stands(browser: Browser, served: Served, word: str) -> None:
    call = a_call()
    live = a_live(call)
    served.recorder.opened(live)
    served.recorder.closed(live, replace(a_concluded(call), cache=word))
    page = look(browser, served)
    page.wait("document.querySelector('tbody.flow .mark')")
    hint = page.run("return document.querySelector('tbody.flow .mark').title")
    assert len(hint) > 20
    assert hint in page.run("return document.querySelector('tbody.flow .mark').textContent")
    page.click("tbody.flow button")
    page.wait("document.querySelector('#drawer').innerText.includes('Facts')")
    assert f": {hint}" in page.text("#drawer")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_window(browser: Browser, served: Served, width: int, dark: bool) -> None:
    long = a_suggestion(model="accounts/fireworks/models/" + "x" * 150, rule="[[cache.rules]]\n" + "y" * 300)
    tell(served, saved=SAVED, entries=1_203, size_bytes=12_300_000, suggestions=[a_suggestion(), long, a_suggestion()])
    page = look(browser, served)
    page.look_like(width=width, dark=dark)
    page.wait("document.querySelectorAll('#cache li').length === 3")
    page.run("document.querySelectorAll('#cache details').forEach((one) => { one.open = true; })")
    assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
