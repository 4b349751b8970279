"""Flows in a terminal: the verdict at a glance, and nothing that could drive the terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from gateway.model.flow import FlowRow, State
from gateway.record.row import closed_row
from gateway.show.plain import duration, plain, plain_lines
from gateway.show.terminal import detail, line, table
from tests.gateway.record.made import a_call, a_concluded, a_diagnosis, a_failed_outcome, a_live, a_row

HOSTILE = "a\x1b[2J\x07\r\nb\u202ec\u2066d\x9b31m\u200be\x00"


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(what, soft_wrap=not hasattr(what, "columns"))
    return capture.get()


def failed(**changes: Any) -> dict[str, Any]:
    call = a_call()
    concluded = a_concluded(call, diagnosis=a_diagnosis(), outcome=a_failed_outcome(b'{"error":"slow"}'))
    return {**closed_row(a_live(call), concluded).as_dict(), **changes}


def test_a_failure_says_why_and_what_to_do_in_its_line() -> None:
    """At a glance."""
    text = shown(line(failed()))
    assert "429" in text
    assert "rate_limit.tokens Tokens per minute used up" in text
    assert "→ Wait 12 s." in text


def test_a_running_call_says_what_it_waits_for() -> None:
    """And for how long."""
    row = a_row(1, state=State.QUEUED, status=None, wait_reason="tokens per minute", eta_ms=4000, ended_at=None)
    assert "queued: tokens per minute, about 4.0 s left" in shown(line(row.as_dict()))


def test_what_may_be_paid_for_twice_says_so() -> None:
    """In the line and in full; a call that was asked once says nothing of it."""
    row = {**failed(), "possible_duplicate": True}
    assert "may be paid for twice" in shown(line(row), 200)
    assert "may be paid for twice: the provider may have worked on a try before the last" in shown(detail(row), 200)
    assert "twice" not in shown(line(failed()), 200) + shown(detail(failed()), 200)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fallback": "ollama"}, "answered by the fallback ollama"),
        ({"cache": "stale"}, "an older answer was given"),
    ],
)
def test_a_failure_that_the_app_did_not_see_says_what_it_got_instead(changes: dict[str, Any], told: str) -> None:
    row = failed(status=200, **changes)
    assert told in shown(line(row), 300)
    assert told in shown(table([row]), 120).replace("\n", " ")
    assert told not in shown(line(failed(**changes)), 300), "a stream of its own that broke is a failure all the same"


def test_in_full_the_verdict_stands_first() -> None:
    """Facts come last."""
    text = shown(detail(failed()))
    order = [
        "Tokens per minute used up",
        "The organisation used",
        "What to do",
        "What we saw",
        "Attempts",
        "Facts",
        '"slow"',
    ]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_keeps_time_status_and_id_readable(width: int) -> None:
    """Also in a narrow terminal the id can be copied."""
    row = failed()
    text = shown(table([row]), width)
    assert "429" in text
    if width >= 80:
        assert row["id"] in text


def test_no_captured_text_drives_the_terminal() -> None:
    """Every field that an app or a provider can fill."""
    said = {
        **failed()["diagnosis"],
        "what_happened": HOSTILE,
        "title": HOSTILE,
        "evidence": [HOSTILE],
        "what_to_do": [HOSTILE],
    }
    texts = dict.fromkeys(
        ("client", "tenant", "key", "provider", "method", "host", "path", "endpoint", "model", "id"), HOSTILE
    )
    row = failed(**texts, diagnosis=said, cause=HOSTILE, body=HOSTILE, response_headers=[[HOSTILE, HOSTILE]])
    for what in (line(row), table([row]), detail(row)):
        text = shown(what)
        assert not set(text) & set("\x1b\x07\r\u202e\u2066\x9b\u200b\x00")


@given(st.text())
def test_plain_text_is_one_line_of_visible_characters(text: str) -> None:
    """Whatever it was before."""
    found = plain(text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in found)
    assert len(found.splitlines()) <= 1


def test_lines_of_a_body_stay_lines() -> None:
    """Only what is dangerous is spelled out."""
    assert plain_lines("a\n\tb\r\n\x1bc") == "a\n    b\n\\ec"


def test_markup_in_captured_text_is_only_text() -> None:
    """Rich would read brackets as style."""
    assert "[bold red]x[/]" in shown(line(failed(model="[bold red]x[/]")))


@pytest.mark.parametrize(
    ("milliseconds", "words"), [(None, ""), (0.2, "0 ms"), (340, "340 ms"), (2400, "2.4 s"), (185_000, "3 min 05 s")]
)
def test_durations_read_as_people_say_them(milliseconds: float | None, words: str) -> None:
    assert duration(milliseconds) == words


def test_every_shape_of_row_can_be_shown() -> None:
    """The barest one as well."""
    row = FlowRow(id="x", seq=1, rev=1, state=State.DONE, started_at="nonsense").as_dict()
    for what in (line(row), table([row]), detail(row)):
        assert shown(what)
