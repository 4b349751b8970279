"""What has changed since it last worked, in a real browser; and a reader who is not disturbed while he reads."""

import pytest

from gateway.diagnose.remedy import LANGUAGES
from gateway.model.flow import State
from tests.gateway.record.made import a_call, a_live
from tests.gateway.show.browser import Browser
from tests.gateway.show.drawn import sign_in
from tests.gateway.show.served import Served
from tests.gateway.show.test_page_words import tables
from tests.gateway.show.test_web import fail_one
from tests.gateway.show.test_web_before import run

CHANGE = "document.querySelector('#drawer .change:not([hidden])')"
ATTACK = "<img src=x onerror='window.hacked=1'>\u202e"


def opened(page: Browser, served: Served, flow_id: str) -> str:
    page.go(f"{served.url}/?x={flow_id}#{flow_id}")
    page.wait(CHANGE)
    return page.text("#drawer .change")


def test_a_failed_call_says_when_it_last_worked_and_what_has_changed(page: Browser, served: Served) -> None:
    """Below the verdict, above what else there is."""
    run(served, model="gpt-4o")
    newer = a_call(arrived_at=a_call().arrived_at + 724, headers=((b"user-agent", b"OpenAI/Python 4.0.0"),))
    text = opened(page, served, run(served, fails=True, model="gpt-5", call=newer))
    assert [line for line in text.split("\n") if line] == [
        "What changed since it last worked", "It last worked 12 min 4 s before this call. Since then:",
        "model", "gpt-4o → gpt-5", "header content-type", "gone, before application/json",
        "header user-agent", "OpenAI/Python 3.54.0 → OpenAI/Python 4.0.0", "Show that call",
    ]  # fmt: skip
    whole = page.text("#drawer")
    assert (
        whole.index("What to do") < whole.index("What changed") < whole.index("About this cause") < whole.index("Facts")
    )
    assert page.complaints() == []


def test_that_nothing_has_changed_is_told_as_well(page: Browser, served: Served) -> None:
    run(served)
    text = opened(page, served, run(served, fails=True, at=30))
    assert "It last worked 30 s before this call. Nothing that we can see has changed." in text


def test_that_it_never_worked_is_told_as_well(page: Browser, served: Served) -> None:
    text = opened(page, served, run(served, fails=True))
    assert "The log holds no call of this kind that worked." in text
    assert page.run("return document.querySelector('.change button')") is None


def test_the_call_that_worked_is_one_click_away(page: Browser, served: Served) -> None:
    good = run(served)
    opened(page, served, run(served, fails=True))
    page.click(".change button")
    page.wait(f"location.hash === '#{good}'")
    page.wait("document.querySelector('#drawer h2').innerText === 'Succeeded'")
    assert page.run(f"return {CHANGE}") is None
    assert focused(page)[1] == "drawer"


def test_it_is_copied_with_the_verdict(page: Browser, served: Served) -> None:
    run(served, model="gpt-4o")
    opened(page, served, run(served, fails=True, model="gpt-5", at=60))
    page.run("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); };")
    page.click("#drawer .verdict .copy button")
    page.wait("window.copied")
    lines = page.run("return window.copied").split("\n")
    at = lines.index("What changed since it last worked")
    assert lines[at + 1 : at + 3] == ["It last worked 60 s before this call. Since then:", "- model: gpt-4o → gpt-5"]


def test_the_gateway_is_asked_once_however_often_the_drawer_is_drawn(page: Browser, served: Served) -> None:
    run(served)
    failed, good = run(served, fails=True), run(served)
    opened(page, served, failed)
    for flow in (good, failed, good, failed):
        page.run("document.querySelector(`tbody[data-id='${arguments[0]}'] button`).click()", flow)
        page.wait(f"location.hash === '#{flow}'")
    page.wait(CHANGE)
    asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/before')).length"
    assert page.run(asked) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_told_in_the_readers_language(served: Served, browser: Browser, language: str) -> None:
    page = sign_in(browser, served, language, width=360, dark=True)
    run(served, model="gpt-4o", key="a", stream=False)
    text = opened(page, served, run(served, fails=True, model="gpt-5", key="none", stream=True))
    table = tables()[language]
    for key in (
        "change",
        "change.since",
        "changed.model",
        "changed.key",
        "changed.stream",
        "fact.key.none",
        "change.yes",
        "change.show",
    ):
        assert table[key] in text, key
    for node in ("document.documentElement", "document.querySelector('#drawer')"):
        assert page.run(f"return {node}.scrollWidth <= {node}.clientWidth"), node


def test_captured_text_in_a_change_is_only_text(page: Browser, served: Served) -> None:
    run(served, model=ATTACK)
    text = opened(page, served, run(served, fails=True, model="x" * 300))
    assert "<img src=x onerror='window.hacked=1'>\\u202e → xxx" in text
    assert "…" in text
    assert page.run("return window.hacked") is None
    assert page.run("return document.querySelector('#drawer img')") is None


# --- a reader who is not disturbed -----------------------------------------


def focused(page: Browser) -> list[str]:
    return list(page.run("const one = document.activeElement; return [one.tagName, one.dataset.focus ?? one.id]"))


def test_the_focus_stays_where_it_is_when_a_running_call_changes(page: Browser, served: Served) -> None:
    live = a_live(a_call(), state=State.CONNECTING)
    served.recorder.opened(live)
    page.wait("document.querySelector('tbody.flow')")
    page.click("tbody.flow button")
    page.wait("document.querySelector('#drawer h2')?.innerText === 'connecting'")
    page.run("document.querySelector('#drawer details').open = true; document.querySelector('#drawer summary').focus()")
    assert focused(page) == ["SUMMARY", "headers.request"]
    live.enter(State.STREAMING)
    page.wait("document.querySelector('#drawer h2').innerText === 'answering'")
    assert focused(page) == ["SUMMARY", "headers.request"]
    assert page.run("return document.querySelector('#drawer details').open") is True


def test_who_has_the_focus_nowhere_in_it_is_taken_to_the_drawer(page: Browser, served: Served) -> None:
    flow = fail_one(served)
    page.wait("document.querySelector('tbody.flow')")
    page.click("tbody.flow button")
    page.wait(f"location.hash === '#{flow}'")
    assert focused(page)[1] == "drawer"


def test_everything_that_can_have_the_focus_has_a_name_to_be_found_by(page: Browser, served: Served) -> None:
    """Or a late answer would take the focus away from it."""
    run(served)
    opened(page, served, run(served, fails=True))
    opened(page, served, fail_one(served))
    nameless = page.run(
        "return [...document.querySelectorAll('#drawer :is(button, summary, a, [tabindex])')]"
        ".filter((one) => !one.dataset.focus).map((one) => one.outerHTML)"
    )
    assert nameless == []
