"""Where the time of a call went: the picture, the same in words and as a table, and the events of a stream."""

from typing import Any

import pytest

from gateway.diagnose.remedy import LANGUAGES
from tests.gateway.show.browser import Browser
from tests.gateway.show.drawn import FIRST, SECOND, a_flow, an_attempt, draw, phase, sign_in
from tests.gateway.show.served import Served
from tests.gateway.show.test_page_words import tables

HOME, END, LEFT, RIGHT = "\ue011", "\ue010", "\ue012", "\ue014"
BARS = """
return [...document.querySelectorAll(".waterfall > svg > .stretch")].map((one) => {
  const rect = one.querySelector(".colour");
  return [one.classList[1].slice(3), parseFloat(rect.getAttribute("x")), parseFloat(rect.getAttribute("width")), Number(rect.getAttribute("y"))];
});
"""
BOXES = """
return [...document.querySelectorAll(arguments[0])].map((one) => {
  const box = one.getBoundingClientRect();
  return [box.left, box.right, box.top, box.bottom];
});
"""
EVENTS: dict[str, Any] = {
    "count": 214, "bytes": 18_200, "began_ms": 500, "bucket_ms": 50, "counts": [30, 60, 0, 0, 4, 20, 100],
    "gap_ms": 100, "gap_at_ms": 600,
}  # fmt: skip


def readout(page: Browser) -> str:
    return page.text("#drawer .readout")


def test_every_stretch_is_a_bar_to_scale_from_the_arrival(page: Browser) -> None:
    """A row for each attempt; what is too short to be seen is drawn as thin as can be seen."""
    draw(page, a_flow())
    bars = page.run(BARS)
    assert [(name, start, length) for name, start, length, _ in bars] == [
        ("queue", 0, 12.5), ("dns", 12.5, 0.5), ("connect", 13, 24.5), ("wait", 37.5, 12.5), ("pool", 50, 0.5),
        ("dns", 50.25, 0.5), ("connect", 50.75, 2.5), ("tls", 53.25, 5), ("send", 58.25, 1.75), ("first_byte", 60, 25),
        ("body", 85, 15),
    ]  # fmt: skip
    assert len({y for *_, y in bars}) == 2
    assert len({y for *_, y in bars[:3]}) == 1
    assert page.run("return document.querySelector('.waterfall > svg > .first').getAttribute('x1')") == "85.000%"


def test_what_a_retry_waited_in_the_queue_is_not_drawn_before_the_first_try_too(page: Browser) -> None:
    second = SECOND | {"queued_ms": 500.0}
    draw(page, a_flow(attempts=[FIRST | {"queued_ms": 0.0}, second], total_ms=3500.0, ttft_ms=2900.0))
    bars = [(name, start) for name, start, *_ in page.run(BARS)]
    assert bars[0] == ("dns", 0)
    assert "queue" not in dict(bars)
    assert dict(bars)["wait"] == pytest.approx(100 * 1000 / 3500, abs=0.1)


def test_the_axis_is_marked_at_even_steps(page: Browser) -> None:
    draw(page, a_flow())
    marks = page.run("return [...document.querySelectorAll('.axis text')].map((one) => one.textContent)")
    assert marks == ["0", "1 s", "2 s", "3 s", "4 s"]


def test_the_stretch_that_failed_is_marked(page: Browser) -> None:
    """With a cross and in words, not with a colour alone."""
    draw(page, a_flow())
    broken = page.run(
        "return [...document.querySelectorAll('.stretch.broken')].map((one) => one.classList[1].slice(3))"
    )
    assert broken == ["connect"]
    assert page.run("return document.querySelectorAll('.stretch .cross').length") == 1
    label = page.run("return document.querySelector('.waterfall > svg').getAttribute('aria-label')")
    assert "Try 1, connect: 980 ms, from 520 ms to 1.5 s · failed here." in label
    assert "connect, failed here" in page.run("return document.querySelector('.times').textContent")


def test_nobody_has_to_tell_colours_apart(page: Browser) -> None:
    """Every kind of stretch has lines of its own but for two plain ones, and all of them a name."""
    draw(page, a_flow())
    lines = page.run(
        "return [...document.querySelectorAll('.waterfall .legend .stretch')].map((one) => "
        "[one.classList[1].slice(3), one.lastElementChild.getAttribute('fill')])"
    )
    assert {name for name, fill in lines if fill == "none"} == {"pool", "first_byte"}
    drawn = [fill for _, fill in lines if fill != "none"]
    assert len(drawn) == len(set(drawn)) == 7
    assert page.run("return arguments[0].every((fill) => document.querySelector(fill.slice(4, -1)))", drawn)
    fills = (
        "return [...document.querySelectorAll('.waterfall .legend .colour')].map((one) => getComputedStyle(one).fill)"
    )
    light = page.run(fills)
    page.look_like(width=1280, dark=True)
    dark = page.run(fills)
    assert len(set(light)) == len(set(dark)) == 9
    assert set(light).isdisjoint(dark)
    names = page.text(".waterfall .legend")
    for name in ("our queue", "wait", "connection pool", "DNS", "connect", "TLS", "send", "first byte", "body"):
        assert name in names


def test_who_sees_no_picture_has_words_and_a_table(page: Browser) -> None:
    draw(page, a_flow())
    image = "document.querySelector('.waterfall > svg')"
    assert page.run(f"return {image}.getAttribute('role')") == "img"
    label = page.run(f"return {image}.getAttribute('aria-label')")
    assert label.startswith("4 s in all, 2 attempts. Longest: Try 2 · 200, first byte: 1 s, from 2.4 s to 3.4 s.")
    page.run("document.querySelector('details[data-name=times]').open = true")
    rows = page.run(
        "return [...document.querySelectorAll('.times tr')].map((row) => [...row.children].map((cell) => cell.innerText))"
    )
    assert rows[0] == ["Try", "Stretch", "Starts at", "Lasts"]
    assert rows[1] == ["Try 1", "our queue", "0", "500 ms"]
    assert rows[4] == ["Try 2 · 200", "wait", "1.5 s", "500 ms"]
    assert len(rows) == 12


def test_a_bar_tells_its_values_to_the_pointer(page: Browser) -> None:
    draw(page, a_flow())
    assert readout(page) == "Point at a bar, or use the arrow keys."
    page.run("document.querySelector('.waterfall').scrollIntoView({ block: 'center' })")
    left, right, top, bottom = page.run(BOXES, ".stretch.of-tls .edge")[0]
    page._devtools("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": (left + right) / 2, "y": (top + bottom) / 2})
    page.wait("document.querySelector('.readout').textContent === 'Try 2 · 200, TLS: 200 ms, from 2.1 s to 2.3 s'")
    page._devtools("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 2, "y": 2})
    page.wait("document.querySelector('.readout').textContent.startsWith('Point at')")


def test_a_bar_tells_its_values_to_the_arrow_keys(page: Browser) -> None:
    draw(page, a_flow())
    page.run("document.querySelector('.waterfall > svg').focus()")
    page.keys(HOME)
    assert readout(page) == "Try 1, our queue: 500 ms, from 0 to 500 ms"
    page.keys(RIGHT + RIGHT)
    assert readout(page) == "Try 1, connect: 980 ms, from 520 ms to 1.5 s · failed here"
    page.keys(LEFT)
    assert readout(page).startswith("Try 1, DNS")
    page.keys(END + RIGHT)
    assert readout(page).startswith("Try 2 · 200, body")
    assert page.run("return document.querySelectorAll('.stretch.current').length") == 1
    page.run("document.activeElement.blur()")
    assert readout(page).startswith("Point at")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_however_narrow_the_window(
    served: Served, browser: Browser, width: int, language: str, dark: bool
) -> None:
    """No text over another, nothing outside of the drawer, no sideways scrolling."""
    page = sign_in(browser, served, language, width=width, dark=dark)
    fallback = an_attempt(
        2, phase("first_byte", 0, 900), fallback="a fallback with a very long name indeed, sixty letters or so"
    )
    short = an_attempt(1, phase("tls", 0, 50), phase("first_byte", 50, 500))
    for attempts, total in (
        ([FIRST, fallback], 4000.0),
        ([FIRST, fallback], 95_000.0),
        ([short], 500.0),
        ([FIRST], 9e6),
    ):
        queue_ms = 0.0 if total == 500 else 500.0
        draw(
            page,
            a_flow(
                attempts=attempts,
                queue_ms=queue_ms,
                total_ms=total,
                ttft_ms=100.0,
                events=EVENTS if total > 500 else None,
            ),
        )
        page.run("document.querySelector('details[data-name=times]').open = true")
        for group in (".axis text", ".waterfall .row, .waterfall .sum"):
            boxes = page.run(BOXES, group)
            assert len(boxes) >= 2
            for at, one in enumerate(boxes):
                for other in boxes[at + 1 :]:
                    assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2], group
        edges = page.run(BOXES, "#drawer")[0]
        for left, right, *_ in page.run(BOXES, ".waterfall text, .stretch rect, .times"):
            assert edges[0] <= left
            assert right <= edges[1]
        for node in ("document.documentElement", "document.querySelector('#drawer')"):
            assert page.run(f"return {node}.scrollWidth <= {node}.clientWidth"), node


def test_a_call_that_was_never_sent_shows_its_time_in_the_queue(page: Browser) -> None:
    draw(page, a_flow(attempts=[], ttft_ms=None, total_ms=500.0))
    assert [bar[0] for bar in page.run(BARS)] == ["queue"]
    assert "Never sent" in page.run("return document.querySelector('.waterfall .row').textContent")


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": [], "queue_ms": 0.0},
        {"state": "streaming", "ended_at": None},
        {"attempts": [], "cache": "hit", "queue_ms": 0.2},
    ],
)
def test_where_there_is_nothing_to_see_there_is_no_picture(page: Browser, changes: dict[str, Any]) -> None:
    draw(page, a_flow(**changes))
    assert page.run("return document.querySelector('.waterfall')") is None
    assert "Facts" in page.text("#drawer")


def test_odd_values_do_not_break_it(page: Browser) -> None:
    """A row of an older log, or of a program that is not ours."""
    odd = an_attempt(
        1, phase("<b>x</b>\u202e", -5, -1), phase("body", 40, 10), fallback="'><img src=x>", waited_ms=None
    )
    draw(page, a_flow(attempts=[odd, an_attempt(2)], queue_ms=None, total_ms=None, ttft_ms=None))
    assert [bar[0] for bar in page.run(BARS)] == ["pool", "body"]
    assert all(0 <= start <= 100 and length >= 0 for _, start, length, _ in page.run(BARS))
    assert page.run("return document.querySelector('#drawer img, #drawer b > b')") is None
    assert "\u202e" not in page.run("return document.querySelector('#drawer').textContent")
    assert page.complaints() == []


# --- the events of a stream ------------------------------------------------


def test_the_events_of_a_stream_stand_on_the_same_axis(page: Browser) -> None:
    draw(page, a_flow(events=EVENTS, total_ms=4000.0))
    places = page.run(
        "return [...document.querySelectorAll('.event')].map((one) => "
        "[parseFloat(one.getAttribute('x')), Number(one.getAttribute('height')), one.textContent])"
    )
    assert [place[0] for place in places] == [12.5, 13.75, 17.5, 18.75, 20]
    assert [place[1] for place in places] == pytest.approx([7.8, 15.6, 2, 5.2, 26])
    assert places[-1][2] == "100 events from 800 ms to 850 ms"
    silence = page.run(
        "const one = document.querySelector('.silence'); return [one.getAttribute('x'), one.getAttribute('width')]"
    )
    assert silence == ["15.000%", "2.500%"]
    assert page.text(".waterfall .events") == "214 events, 18.2 kB, the longest silence 100 ms after 600 ms"
    label = page.run("return document.querySelector('.waterfall > svg').getAttribute('aria-label')")
    assert label.endswith("214 events, 18.2 kB, the longest silence 100 ms after 600 ms")


def test_a_stream_longer_than_the_attempts_sets_the_scale(page: Browser) -> None:
    late = EVENTS | {"began_ms": 7_600, "bucket_ms": 200, "counts": [1, 0, 1], "gap_ms": 7_000, "gap_at_ms": 1_000}
    draw(page, a_flow(events=late))
    assert page.run("return document.querySelector('.axis text:last-child').textContent") == "8 s"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_events_are_told_in_the_readers_language(served: Served, browser: Browser, language: str) -> None:
    page = sign_in(browser, served, language)
    draw(page, a_flow(events=EVENTS | {"count": 1, "gap_ms": 3_100, "gap_at_ms": 400}))
    table = tables()[language]
    told = page.text(".waterfall .events")
    assert table["events.many.one" if language != "zh" else "events.many.other"].format(n=1) in told
    before, _, after = table["events.gap"].partition("{time}")
    assert before in told
    assert after.partition("{at}")[0] in told
    assert page.run("return document.querySelector('.waterfall .row:last-of-type').textContent") == table["events"]


@pytest.mark.parametrize(
    "events",
    [
        None,
        {},
        {"count": 3},
        EVENTS | {"bucket_ms": 0},
        EVENTS | {"counts": None},
        EVENTS | {"count": 0},
        EVENTS | {"began_ms": None},
    ],
)
def test_events_that_are_not_as_they_have_to_be_are_left_out(page: Browser, events: Any) -> None:
    draw(page, a_flow(events=events))
    assert page.run("return document.querySelectorAll('.event').length") == 0
    assert len(page.run(BARS)) == 11


def test_there_are_never_more_than_64_bars_of_events(page: Browser) -> None:
    draw(page, a_flow(events=EVENTS | {"counts": [1] * 1_000}))
    assert page.run("return document.querySelectorAll('.event').length") == 64


# --- tokens and money ------------------------------------------------------


@pytest.mark.parametrize(
    ("cost_usd", "shown"),
    [
        (0.000432, "about US$0.0004"),
        (0.0123, "about US$0.012"),
        (0.5, "about US$0.50"),
        (12.345, "about US$12.35"),
        (4e-8, "less than US$0.000001"),
    ],
)
def test_a_call_says_about_what_it_cost(page: Browser, cost_usd: float, shown: str) -> None:
    draw(page, a_flow(cost_usd=cost_usd))
    text = page.text("#drawer").replace("\xa0", " ")
    assert f"Cost\n{shown}" in text
    assert "Tokens\n1000 in, 200 out" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_cache_saved_is_told(served: Served, browser: Browser, language: str) -> None:
    page = sign_in(browser, served, language)
    draw(page, a_flow(cost_usd=0.0, saved_usd=0.0004, cache="hit", tokens_estimated=True))
    text, table = page.text("#drawer"), tables()[language]
    assert table["cost.saved"].partition("{")[0] in text
    assert "0.0004" in text.replace(",", ".")
    assert table["cost.estimated"].partition("}")[2] in text


@pytest.mark.parametrize("flow", [{}, {"cost_usd": 0.0, "saved_usd": None, "cache": "hit"}])
def test_what_nobody_knows_is_not_said(page: Browser, flow: dict[str, Any]) -> None:
    """Nor for a flow from the live feed, which has no price yet."""
    made = a_flow(**flow)
    draw(page, made)
    assert "Cost" not in page.text("#drawer")
    del made["cost_usd"], made["saved_usd"]
    draw(page, made)
    assert "Cost" not in page.text("#drawer")
