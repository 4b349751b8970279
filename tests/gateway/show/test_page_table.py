"""The table: few rows in the document, however many calls there are, and none of them jumps under the reader's eyes."""

import itertools
import time
from typing import Any

import pytest

from gateway.model.flow import FlowRow
from gateway.record.row import utc_text
from tests.gateway.record.made import EPOCH, a_diagnosis, a_row, until
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served

ROWS = "document.querySelectorAll('tbody.flow').length"
CALLS = "Number(document.querySelector('#counters .all b')?.textContent.replace(/\\D/g, '') ?? 0)"
FIRST_IN_SIGHT = """
  const head = document.querySelector('#flows thead').getBoundingClientRect().bottom;
  const row = [...document.querySelectorAll('tbody.flow')].find((one) => one.getBoundingClientRect().top >= Math.max(0, head));
  return row && [row.dataset.id, Math.round(row.getBoundingClientRect().top)];
"""
_numbers = itertools.count(1)


def _said(sentence: str) -> dict[str, Any]:
    found = a_diagnosis(what_happened=sentence)
    return {
        "cause": found.cause.value,
        "title": found.title,
        "what_happened": sentence,
        "what_to_do": list(found.what_to_do),
        "evidence": [],
        "ruled_out": [],
        "alternatives": [],
    }


def _row(failed: bool = False, **changes: Any) -> FlowRow:
    number = next(_numbers)
    told: dict[str, Any] = {"model": f"model-{number % 7}", "started_at": utc_text(EPOCH + number)}
    if failed:
        told |= {"cause": "rate_limit.tokens", "fault": "caller", "status": 429, "diagnosis": _said("It was too much.")}
    return a_row(number, id=f"call-{number:020d}", **(told | changes))


def _keep(served: Served, rows: list[FlowRow]) -> list[str]:
    before = served.recorder.health()["written"]
    for row in rows:
        served.recorder.recorded(row)
    until(lambda: served.recorder.health()["written"] == before + len(rows), 30)
    return [row.id for row in rows]


def _down(page: Browser) -> None:
    page.run("scrollTo(0, document.documentElement.scrollHeight)")


def test_however_many_calls_there_are_few_rows_are_drawn(page: Browser, served: Served) -> None:
    """Older ones come by themselves as the reader goes down, until there are no more."""
    ids = _keep(served, [_row(failed=number % 5 == 0) for number in range(1500)])
    page.go(served.link)
    page.wait(f"{CALLS} >= 100")
    deadline = time.monotonic() + 30
    while page.run(f"return {CALLS}") < 1500:
        assert time.monotonic() < deadline
        _down(page)
        assert 0 < page.run(f"return {ROWS}") < 80
        page.wait(f"{ROWS} > 0")
    _down(page)
    page.wait(f"document.querySelector('tbody.flow:last-of-type').dataset.id === '{ids[0]}'")
    assert page.run("return document.querySelector('#more').hidden")
    assert page.run("return document.querySelector('#flows').getAttribute('aria-rowcount')") == "1501"
    last = "document.querySelector('tbody.flow:last-of-type tr').getAttribute('aria-rowindex')"
    assert page.run(f"return {last}") == "1501"


def test_rows_stand_where_they_belong_and_none_covers_another(page: Browser, served: Served) -> None:
    _keep(served, [_row(failed=number % 3 == 0) for number in range(90)])
    page.wait(f"{CALLS} === 90")
    for width in (1280, 900, 360):
        page.look_like(width=width)
        page.wait("document.querySelector('tbody.flow')")
        gaps: Any = page.run(
            "const boxes = [...document.querySelectorAll('tbody.flow')].map((one) => one.getBoundingClientRect());"
            "return boxes.slice(1).map((box, at) => Math.round(box.top - boxes[at].bottom));"
        )
        assert gaps
        assert set(gaps) == {0}, width
        cut: Any = page.run(
            "return [...document.querySelectorAll('tbody.flow tr')].filter((row) => [...row.children].some((cell) =>"
            " cell.getBoundingClientRect().bottom > row.parentElement.getBoundingClientRect().bottom + 1)).length"
        )
        assert cut == 0, width
    page.look_like(width=1280)


def test_what_the_reader_looks_at_stays_where_it_is_when_calls_come_in(page: Browser, served: Served) -> None:
    _keep(served, [_row(failed=number % 4 == 0) for number in range(95)])
    page.wait(f"{CALLS} === 95")
    page.run("scrollTo(0, 2000)")
    until(lambda: page.run(FIRST_IN_SIGHT) is not None)
    before = page.run(FIRST_IN_SIGHT)
    _keep(served, [_row(failed=True) for _ in range(30)])
    page.wait(f"{CALLS} === 125")
    assert page.run(FIRST_IN_SIGHT) == before
    page.keys("g")
    page.wait(
        f"scrollY === 0 && document.querySelector('tbody.flow')?.dataset.id.endsWith('{next(_numbers) - 1:020d}')"
    )


def test_at_the_top_new_calls_are_seen_at_once(page: Browser, served: Served) -> None:
    _keep(served, [_row() for _ in range(60)])
    page.wait(f"{CALLS} === 60")
    (newest,) = _keep(served, [_row(failed=True)])
    page.wait(f"document.querySelector('tbody.flow').dataset.id === '{newest}'")
    assert page.run("return scrollY") == 0


def test_the_keys_go_on_beyond_what_is_drawn(page: Browser, served: Served) -> None:
    ids = _keep(served, [_row() for _ in range(80)])
    page.wait(f"{CALLS} === 80")
    for _ in range(45):
        page.keys("j")
    wanted = ids[-45]
    page.wait(f"document.activeElement.closest('tbody')?.dataset.id === '{wanted}'")
    edges: Any = page.run("const box = document.activeElement.getBoundingClientRect(); return [box.top, box.bottom]")
    assert edges[0] >= 0
    assert edges[1] <= 900
    page.keys("k")
    page.wait(f"document.activeElement.closest('tbody')?.dataset.id === '{ids[-44]}'")


def test_a_call_that_changes_keeps_its_place_and_the_focus(page: Browser, served: Served) -> None:
    rows = [_row() for _ in range(5)]
    _keep(served, rows)
    page.wait(f"{CALLS} === 5")
    page.keys("j")
    page.keys("j")
    page.wait(f"document.activeElement.closest('tbody')?.dataset.id === '{rows[-2].id}'")
    (newest,) = _keep(served, [_row()])
    page.wait(f"document.querySelector('tbody.flow').dataset.id === '{newest}'")
    assert page.run("return document.activeElement.closest('tbody').dataset.id") == rows[-2].id


def test_a_filter_that_is_taken_away_leaves_no_hole(page: Browser, served: Served) -> None:
    """What was loaded under the filter is only part of what there is between the newest and the oldest of it."""
    _keep(served, [_row(failed=number % 3 == 0) for number in range(400)])
    page.go(f"{served.url}/?cause=*")
    page.wait(f"{CALLS} >= 100")
    _down(page)
    page.wait(f"{CALLS} === 134")
    page.run("scrollTo(0, 0)")
    page.click("#failures")
    page.wait(f"{CALLS} === 100")
    deadline = time.monotonic() + 20
    while page.run(f"return {CALLS}") < 400:
        assert time.monotonic() < deadline
        _down(page)
    page.run("scrollTo(0, 0)")
    page.wait("document.querySelector('#more').hidden")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_long_sentence_is_cut_in_the_table_and_whole_in_the_drawer(page: Browser, served: Served, width: int) -> None:
    sentence = "It was too much, and that for a reason which takes long to tell. " * 12
    page.look_like(width=width)
    _keep(served, [_row(failed=True, diagnosis=_said(sentence))])
    page.wait(f"{ROWS} === 1")
    assert page.run("return document.querySelector('tbody.flow').offsetHeight") < 200
    page.click("tbody.flow button")
    page.wait(f"document.querySelector('#drawer').innerText.includes({sentence.strip()!r})")
    page.look_like(width=1280)
