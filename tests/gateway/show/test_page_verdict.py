"""A verdict in the browser: what it says first, what can be followed, what can be copied, in the reader's language."""

import pytest

from gateway.diagnose.remedy import LANGUAGES, words
from gateway.model.cause import Cause, Precision
from gateway.model.flow import State
from tests.gateway.record.made import a_call, a_diagnosis, a_live
from tests.gateway.record.test_recorder import run_one
from tests.gateway.show.browser import Browser
from tests.gateway.show.drawn import sign_in
from tests.gateway.show.served import Served
from tests.gateway.show.test_page_words import tables
from tests.gateway.show.told import TITLES, a_verdict, fail_with

TEXTS = """
const texts = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) texts.push(walk.currentNode.nodeValue.trim());
for (const node of document.querySelectorAll("[title], [placeholder], [aria-label]"))
  texts.push(...["title", "placeholder", "aria-label"].map((name) => node.getAttribute(name) ?? ""));
return texts.filter(Boolean);
"""


def opened(page: Browser, served: Served, flow_id: str) -> str:
    page.go(f"{served.url}/?x={flow_id}#{flow_id}")
    # The titles of other causes come on their own; then all is there.
    page.wait(
        "document.querySelector('#drawer dl') && !document.querySelector('#drawer .others li > code:first-child')"
    )
    return page.text("#drawer")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reader_finds_one_language(served: Served, browser: Browser, language: str) -> None:
    """Every word is of his table, nothing of another; the gateway's own language does not matter."""
    page = sign_in(browser, served, language)
    run_one(served.recorder)
    flow_id = fail_with(served, a_verdict(language="it" if language == "en" else "en"))
    waiting = a_live(
        a_call(), state=State.QUEUED, wait_reason="configured limit of 60 requests per minute", eta_ms=9000
    )
    served.recorder.opened(waiting)
    text = opened(page, served, flow_id)
    page.wait("document.querySelectorAll('tbody.flow').length === 3")
    table = tables()[language]
    for key in (
        "todo",
        "saw",
        "also",
        "ruled_out",
        "by.provider",
        "fault.policy",
        "precision.declared",
        "copy.verdict",
        "facts",
    ):
        assert table[key] in text, key
    assert TITLES[language] in text
    said = {"n": "60", "kind": table["counted.requests"], "span": table["per.minute"]}
    assert table["reason.configured"].format(**said) in page.text("tbody.flow.running")
    assert str(page.run("return document.documentElement.lang")).startswith(language)
    foreign = {word for other in LANGUAGES if other != language for word in tables()[other].values()} - set(
        table.values()
    )
    assert foreign.isdisjoint(page.run(TEXTS))
    assert page.complaints() == []


def test_the_verdict_comes_first(page: Browser, served: Served) -> None:
    """What happened, who can fix it, how sure; then what to do; then why we say so."""
    verdict = a_verdict(
        Cause.RATE_LIMIT_TOKENS, precision=Precision.INFERRED, author="middlebox", vendor="Zscaler",
        waiting_helps=True, wait_seconds=17.0,
    )  # fmt: skip
    text = opened(page, served, fail_with(served, verdict))
    parts = (
        verdict.title, verdict.what_happened, "rate_limit.tokens", "To be fixed in your app", "Concluded", "What to do", verdict.what_to_do[0],
        "It asks to wait 17 s.", "What we saw", "it names code insufficient_quota", "Written by Zscaler, on the path",
        "It could also be", words("en").remedies[Cause.RATE_LIMIT_UNKNOWN].title, "rate_limit.unknown", "Ruled out", "edge.blocked", "the provider itself answered",
        "About this cause", "Facts",
    )  # fmt: skip
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_nobody_is_told_to_wait_where_waiting_does_not_help(page: Browser, served: Served) -> None:
    text = opened(page, served, fail_with(served, a_verdict(wait_seconds=86400.0, waiting_helps=False)))
    assert "to wait" not in text


def test_a_row_of_an_earlier_release_is_shown_as_well(page: Browser, served: Served) -> None:
    """Causes that were ruled out are plain slugs there, and nobody knows who wrote the answer."""
    text = opened(page, served, fail_with(served, a_diagnosis()))
    assert TITLES["en"] in text
    assert "quota.exhausted" in text
    assert "Written by" not in text


def test_only_plain_addresses_become_links(page: Browser, served: Served) -> None:
    """And only in what to do; where a link leads is what it says."""
    steps = (
        "See https://platform.openai.com/api-keys, or (https://a.example/x?y=1#z). 见https://b.example。",
        "http://c.example javascript:alert(1) https://user:pw@d.example/x https://user@e.example https:// //f.example data:text/html,x",
        "<a href='https://g.example'>https://h.example</a> `https://i.example` \u202ehttps://j.example",
    )
    verdict = a_diagnosis(what_to_do=steps, evidence=("https://k.example",), what_happened="https://l.example")
    opened(page, served, fail_with(served, verdict))
    links = page.run(
        "return [...document.querySelectorAll('#drawer a')].map((a) => [a.getAttribute('href'), a.textContent, a.rel, a.target])"
    )
    assert [link[0] for link in links] == [
        "https://platform.openai.com/api-keys", "https://a.example/x?y=1#z", "https://b.example",
        "https://g.example", "https://h.example", "https://j.example",
    ]  # fmt: skip
    for address, text, rel, target in links:
        assert (text, rel, target) == (address, "noopener noreferrer", "_blank")
    assert page.run("return document.querySelector('#drawer .todo code').textContent") == "https://i.example"


def test_the_verdict_can_be_copied_as_text(page: Browser, served: Served) -> None:
    """For a chat or a ticket: what happened, the steps, what was seen."""
    verdict = a_verdict()
    flow_id = fail_with(served, verdict)
    opened(page, served, flow_id)
    page.run("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); };")
    page.click("#drawer .copy button")
    page.wait("window.copied")
    assert "Copied" in page.text("#drawer .copy button")
    lines = str(page.run("return window.copied")).split("\n")
    assert lines[:3] == [
        f"{TITLES['en']} (quota.exhausted)",
        verdict.what_happened,
        "To be fixed in the account · It said so itself",
    ]
    assert lines[4:6] == ["What to do", f"1. {verdict.what_to_do[0]}"]
    assert "- it names code insufficient_quota" in lines
    assert lines[-1].endswith(flow_id)


def test_it_is_copied_without_a_clipboard_too(page: Browser, served: Served) -> None:
    """Under a plain http address that is not this machine's, browsers have none."""
    opened(page, served, fail_with(served, a_verdict()))
    page.run("navigator.clipboard.writeText = () => Promise.reject(new Error('no'));")
    page.click("#drawer .copy button")
    page.wait("/Copied|Not allowed/.test(document.querySelector('#drawer .copy button').textContent)")
    assert page.text("#drawer .copy button") == "Copied"
    assert page.run("return document.querySelectorAll('textarea').length") == 0


def test_a_cause_is_explained_on_request(page: Browser, served: Served) -> None:
    """With the keyboard alone; asked for once."""
    opened(page, served, fail_with(served, a_verdict()))
    page.run("document.querySelector('#drawer details summary').focus()")
    page.keys("\ue007")
    page.wait("document.querySelector('#drawer .about ol')")
    text = page.text("#drawer .about")
    for title in (
        "What it means",
        "How we know",
        "What to do in general",
        "Not to be confused with",
        "Where it can be read",
    ):
        assert title in text
    assert words("en").remedies[Cause.QUOTA_EXHAUSTED].what_it_means in text
    asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/api/causes/')).length"
    for _ in range(2):
        page.run("document.querySelector('#drawer details').open = false")
        page.run("document.querySelector('#drawer details').open = true")
    assert page.run(asked) == 1


def test_what_was_found_by_words_stays_whatever_language_it_is_shown_in(served: Served, browser: Browser) -> None:
    """The gateway looks through the words in which a call was stored."""
    page = sign_in(browser, served, "zh")
    run_one(served.recorder)
    fail_with(served, a_verdict(language="en"))
    page.go(f"{served.url}/?q=credit")
    page.wait("document.querySelectorAll('tbody.flow').length === 1")
    assert TITLES["zh"] in page.text("tbody.flow")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_verdict_fits(served: Served, browser: Browser, language: str, width: int, dark: bool) -> None:
    """No sideways scrolling of the page or of the drawer, with everything opened."""
    page = sign_in(browser, served, language)
    flow_id = fail_with(
        served,
        a_verdict(
            facts=(("provider", "openai"), ("detail", "x" * 200), ("billing_page", f"https://a.example/{'y' * 200}"))
        ),
    )
    page.look_like(width=width, dark=dark)
    opened(page, served, flow_id)
    page.run("document.querySelectorAll('#drawer details').forEach((one) => { one.open = true; })")
    page.wait("document.querySelector('#drawer .about ol')")
    for node in ("document.documentElement", "document.querySelector('#drawer')"):
        assert page.run(f"return {node}.scrollWidth <= {node}.clientWidth"), node
