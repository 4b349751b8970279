"""The doctor's report in a terminal: whole at every width, in every language, and never by colour alone."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway.cli.doctor_lines import Progress, lines_of, progress
from gateway.diagnose.remedy import LANGUAGES
from gateway.doctor.probe import Outcome
from gateway.doctor.probes.machine import PROBE


def _check(name: str, status: str = "ok", *, group: str = "network", about: str = "", **more: Any) -> dict[str, Any]:
    return {
        "group": group, "name": name, "about": about, "status": status, "told": f"what {name} found",
        "cause": None, "evidence": [], "what_to_do": [],
    } | more  # fmt: skip


TAMPERED = _check(
    "names", "fail", cause="network.dns_tampered", fault="network", precision="confirmed", vendor="Cisco Umbrella",
    title="The name gives a false address", what_happened="The name of api.openai.com was answered with 146.112.61.106.",
    evidence=["1.1.1.1 over HTTPS gives 172.66.0.243"], what_to_do=["Ask whoever runs it.", "Send no key."],
    ruled_out=[{"cause": "service.unavailable", "why": "it answers at its true address"}],
)  # fmt: skip
SUNK = _check(
    "chatgpt-domains", "warn", about="telemetry", cause="network.dns_failure", title="The name was not found",
    evidence=[f"line {number}" for number in range(6)], what_to_do=["Ask for them."],
)  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "shape": 1, "target": "api.openai.com", "way": "http://proxy.corp:3128", "took_ms": 1234.0, "healthy": False,
    "most_likely": TAMPERED, "scope": ["only openai fails"],
    "checks": [
        _check("installed", group="environment"), _check("proxy-variables", "note", group="configuration"), TAMPERED,
        SUNK, _check("tls", "skipped"), _check("status", group="provider"), _check("key", "skipped", group="account"),
    ],
}  # fmt: skip
HEALTHY = DOCUMENT | {
    "most_likely": None, "healthy": True, "scope": [], "way": "straight",
    "checks": [check for check in DOCUMENT["checks"] if check["status"] not in {"warn", "fail"}],
}  # fmt: skip


def _told(document: dict[str, Any], width: int = 100, **options: Any) -> str:
    return "\n".join(line.plain for line in lines_of(document, width, **options))


def test_the_most_likely_cause_comes_first_with_all_that_it_takes_to_act() -> None:
    text = _told(DOCUMENT)
    first, _, sections = text.partition("This machine")
    assert text.startswith("✗ Calls to api.openai.com cannot work.")
    assert "Most likely: The name gives a false address" in first
    for words in (
        "network.dns_tampered, to be fixed in the network, confirmed by a check, Cisco Umbrella", "146.112.61.106",
        "- 1.1.1.1 over HTTPS gives 172.66.0.243", "service.unavailable: it answers at its true address",
        "1. Ask whoever runs it.", "2. Send no key.", "through http://proxy.corp:3128", "only openai fails",
    ):  # fmt: skip
        assert words in " ".join(first.split())
    assert "1.1.1.1" not in sections, "its evidence is not told twice"


def test_every_state_has_a_mark_and_a_word_of_its_own() -> None:
    lines = _told(DOCUMENT).splitlines()
    begun = {" ".join(line.split()[:3]) for line in lines if line.startswith("  ") and line[2:3] in "✓•!✗-"}
    assert {"✓ ok installed", "• note proxy-variables", "✗ fail names", "! warn ChatGPT", "- skip tls"} <= begun


def test_what_was_seen_stands_under_its_warning_with_the_first_step() -> None:
    below = _told(DOCUMENT).partition("! warn")[2]
    assert "- line 3" in below
    assert "line 4" not in below
    assert "and 2 more" in below
    assert "→ Ask for them." in below


def test_a_healthy_report_says_so_and_names_no_cause() -> None:
    text = _told(HEALTHY)
    assert text.startswith("✓ All is well on the way to api.openai.com.")
    assert "Most likely" not in text
    assert "straight" in text


def test_a_warning_alone_is_no_failure() -> None:
    slow = SUNK | {"name": "reach", "about": ""}
    text = _told(DOCUMENT | {"checks": [slow], "most_likely": slow})
    assert text.startswith("! Calls to api.openai.com work, but something is not as it should be.")


def test_what_chatgpt_alone_lacks_does_not_keep_calls_from_working() -> None:
    blocked = SUNK | {"status": "fail"}
    text = " ".join(_told(DOCUMENT | {"checks": [_check("names"), blocked], "most_likely": blocked}).split())
    assert text.startswith("✗ Calls to api.openai.com work, but ChatGPT in browsers or apps does not work")
    assert _told(DOCUMENT | {"checks": [TAMPERED, blocked]}).startswith("✗ Calls to api.openai.com cannot work.")


def test_the_summary_has_one_line_a_section_and_the_cause() -> None:
    text = _told(DOCUMENT, summary=True)
    lines = text.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("  ") and line[2:3] in "✓•!✗-" and line[3] == " "] == [
        "This", "Settings", "Network", "Provider", "Account",
    ]  # fmt: skip
    assert "names, ChatGPT reports" in text
    assert "Most likely: The name gives a false address" in text
    assert "→ Ask whoever runs it." in text
    assert len(lines) <= 14
    assert _told(HEALTHY, summary=True).count("\n") <= 8


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [24, 40, 63, 64, 80, 120, 400])
@pytest.mark.parametrize("summary", [False, True])
def test_no_line_is_wider_than_the_terminal(language: str, width: int, summary: bool) -> None:
    for line in lines_of(DOCUMENT, width, language=language, summary=summary):
        assert cell_len(line.plain) <= width, line.plain
        assert "\n" not in line.plain


@pytest.mark.parametrize(("language", "words"), [("zh", "最可能的原因"), ("it", "Questo computer")])
def test_the_frame_speaks_every_language(language: str, words: str) -> None:
    text = _told(DOCUMENT, language=language)
    assert words in text
    assert "Most likely" not in text
    assert "This machine" not in text


def test_what_others_wrote_cannot_move_the_cursor() -> None:
    nasty = TAMPERED | {"evidence": ["\x1b[2Jgone\r\n\u202eback"], "told": "\x1b]0;title\x07"}
    text = _told(DOCUMENT | {"most_likely": nasty, "checks": [nasty], "target": "\x1b[1m"})
    assert "\x1b" not in text
    assert "\u202e" not in text


_TEXT = st.text(max_size=120) | st.text("漢字，。abc -", max_size=120)


@given(
    told=_TEXT,
    title=_TEXT,
    name=_TEXT.filter(str.strip),
    width=st.integers(1, 130),
    language=st.sampled_from(LANGUAGES),
)
def test_any_words_fit_any_terminal(told: str, title: str, name: str, width: int, language: str) -> None:
    check = TAMPERED | {"told": told, "title": title, "name": name, "what_happened": told, "evidence": [told, title]}
    document = DOCUMENT | {"checks": [check, SUNK | {"told": told}], "most_likely": check, "scope": [told]}
    for line in lines_of(document, width, language=language):
        assert cell_len(line.plain) <= max(24, width)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_moves_on_one_line_and_goes_away() -> None:
    terminal = _Terminal()
    shown = Progress(12, stream=terminal)
    shown(Outcome(probe=PROBE))
    shown(Outcome(probe=PROBE))
    assert terminal.getvalue().endswith("\r\x1b[2K2 of 12: machine")
    assert "\n" not in terminal.getvalue()
    shown.clear()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    pipe = io.StringIO()
    shown = Progress(3, language="it", stream=pipe)
    shown(Outcome(probe=PROBE))
    shown.clear()
    assert pipe.getvalue() == ""
    progress(3)(Outcome(probe=PROBE))
    assert capsys.readouterr().err == ""
