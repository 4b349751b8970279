"""A verdict in a terminal: who can fix it, who wrote the answer, how long to wait, what else it could be."""

import re
from dataclasses import asdict
from typing import Any

import pytest
from rich.console import Console, Group

from gateway.diagnose.remedy import LANGUAGES, words
from gateway.diagnose.say import say
from gateway.explain.judge import Judge
from gateway.explain.rows import of_row
from gateway.model.cause import Again, Cause, Fault, Precision
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut
from gateway.show.catalogue import entry, families, listing
from gateway.show.labels import labels, languages
from gateway.show.terminal import detail
from gateway.show.verdict import verdict
from tests.gateway.record.made import a_row
from tests.gateway.show.test_terminal import HOSTILE, failed, shown

LATER = Clue("that phase went well")
NAME = re.compile(r"{\w+}")


def a_row_of(said: Diagnosis, **changes: Any) -> dict[str, Any]:
    return {
        "cause": said.cause.value, "fault": said.fault, "precision": said.precision, "diagnosis": asdict(said) | changes
    }  # fmt: skip


def said(cause: Cause = Cause.RATE_LIMIT_TOKENS, language: str = "en", **facts: Any) -> Diagnosis:
    plain = Diagnosis(
        cause=cause, fault=cause.fault, precision=Precision.DECLARED, title="", what_happened="",
        **{"waiting_helps": cause.again is not Again.NEVER, **facts},
    )  # fmt: skip
    return say(plain, language)


def printed(row: dict[str, Any], width: int = 300) -> str:
    console = Console(width=width, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(Group(*verdict(row)))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def test_what_is_ruled_out_says_why() -> None:
    text = printed(a_row_of(said(ruled_out=(RuledOut(Cause.EDGE_BLOCKED, "", LATER),))))
    assert "Ruled out\n   - edge.blocked: that phase went well" in text


def test_rows_of_older_versions_name_what_is_ruled_out() -> None:
    text = printed(a_row_of(said(), ruled_out=["edge.blocked", "network.offline"]))
    assert "Ruled out\n   - edge.blocked, network.offline" in text


def test_what_it_could_also_be_has_a_title() -> None:
    """A cause of a later version stands alone."""
    text = printed(a_row_of(said(), alternatives=["quota.exhausted", "quota.of_tomorrow"]))
    title = words("en").remedies[Cause.QUOTA_EXHAUSTED].title
    assert f"It could also be\n   - quota.exhausted: {title}\n   - quota.of_tomorrow\n" in text + "\n"


@pytest.mark.parametrize(
    ("author", "vendor", "words_", "not_"),
    [
        ("middlebox", "Zscaler", "written by Zscaler", "on the way"),
        ("edge", "Cloudflare", "written by Cloudflare", "on the way"),
        ("provider", "", "written by the provider", "on the way"),
        ("provider", "Netskope", "written by the provider, Netskope is on the way", "by Netskope"),
        ("", "Netskope", "Netskope is on the way", "written"),
        ("unknown", "", "the same call", "written"),
    ],
)
def test_who_wrote_the_answer_and_who_is_on_the_way_is_said(author: str, vendor: str, words_: str, not_: str) -> None:
    head = printed(a_row_of(said(author=author, vendor=vendor))).split("\n\n")[0]
    assert words_ in head
    assert not_ not in head


@pytest.mark.parametrize(
    ("cause", "wait", "told"),
    [
        (Cause.RATE_LIMIT_TOKENS, 20.0, "the same call can succeed in 20 s"),
        (Cause.RATE_LIMIT_TOKENS, None, "the same call can succeed later"),
        (Cause.QUOTA_EXHAUSTED, None, "waiting alone does not help"),
    ],
)
def test_how_long_to_wait_is_said_when_it_is_known(cause: Cause, wait: float | None, told: str) -> None:
    assert told in printed(a_row_of(said(cause, wait_seconds=wait)))


def test_of_an_unknown_cause_nobody_says_whether_waiting_helps() -> None:
    head = printed(a_row_of(said(Cause.UNKNOWN))).split("\n\n")[0]
    assert "waiting" not in head
    assert "later" not in head


def test_the_provider_said_so_only_when_the_provider_did() -> None:
    assert "the provider said so" in printed(a_row_of(said(author="provider")))
    assert "the provider said so" not in printed(a_row_of(said(Cause.NETWORK_PROXY_AUTH, author="middlebox")))
    assert "the provider said so" in shown(detail(failed(diagnosis={"title": "As older versions wrote it"})))


@pytest.mark.parametrize(("language", "heading"), [("en", "What to do"), ("zh", "怎么办"), ("it", "Che cosa fare")])
def test_headings_speak_the_language_of_the_verdict(language: str, heading: str) -> None:
    text = printed(a_row_of(said(language=language)))
    assert heading in text
    assert labels(language).fault(Cause.RATE_LIMIT_TOKENS) in text


def test_no_field_of_a_stored_verdict_drives_the_terminal() -> None:
    """Whatever wrote the log."""
    changes = {
        "vendor": HOSTILE, "author": HOSTILE, "language": HOSTILE, "alternatives": [HOSTILE], "wait_seconds": HOSTILE,
        "ruled_out": [{"cause": HOSTILE, "why": HOSTILE}, HOSTILE, 7], "evidence": [HOSTILE],
    }  # fmt: skip
    text = printed(a_row_of(said(), **changes))
    assert not set(text) & set("\x1b\x07\r\u202e\u2066\x9b\u200b\x00")


def test_a_success_has_its_outcome_first() -> None:
    assert shown(detail(a_row(1).as_dict())).startswith("Succeeded")


def test_every_language_has_the_same_labels() -> None:
    assert languages() == LANGUAGES
    for language in LANGUAGES:
        texts, english = labels(language).texts, labels("en").texts
        assert list(texts) == list(english)
        assert {name: NAME.findall(text) for name, text in texts.items()} == {
            name: NAME.findall(text) for name, text in english.items()
        }
    assert labels("tlh") is labels("en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fault_precision_and_chance_has_a_label(language: str) -> None:
    spoken = labels(language)
    assert all(spoken.text(f"fault.{fault.value}") for fault in Fault)
    assert all(spoken.text(f"precision.{precision.value}") for precision in Precision)
    assert all(spoken.again(cause) and spoken.fault(cause) for cause in Cause)


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_entry_of_a_cause_has_all_its_parts_and_no_gaps(language: str, cause: Cause) -> None:
    text, remedy = shown(entry(cause, language), 5000), words(language).remedies[cause]
    for part in (remedy.title, remedy.what_it_means, remedy.how_we_know, remedy.not_to_be_confused_with, remedy.source):
        assert part in text
    assert cause.value in text
    assert not re.search(r"\[ | \{|\{\w+_page\}", text)


def test_every_cause_is_in_one_family() -> None:
    assert [cause for causes in families().values() for cause in causes] == list(Cause)


def test_a_list_has_one_line_for_each_cause() -> None:
    text = shown(listing(families()["rate_limit"], "en"))
    assert [line.split()[0] for line in text.splitlines()] == [cause.value for cause in families()["rate_limit"]]


def test_a_real_verdict_reads_from_top_to_bottom() -> None:
    row = {
        "observed": {
            "stage": "http",
            "status": 403,
            "headers": {"server": "Zscaler/6.2"},
            "body": "<html><title>Internet Security by Zscaler</title>",
        }
    }
    text = printed(a_row_of(Judge().judge(of_row(row))))
    assert "written by Zscaler" in text
    order = [text.index(heading) for heading in ("network.blocked_page", "What to do", "What we saw")]
    assert order == sorted(order)
