"""Every cause has words that help, and the words keep their promises."""

import re
from itertools import combinations
from string import Formatter

import pytest

from gateway.diagnose.remedies.en import ENGLISH
from gateway.diagnose.remedies.en_account import ACCOUNT
from gateway.diagnose.remedies.en_between import BETWEEN
from gateway.diagnose.remedies.en_client import CLIENT
from gateway.diagnose.remedies.en_edge import EDGE
from gateway.diagnose.remedies.en_gateway import GATEWAY
from gateway.diagnose.remedies.en_limits import LIMITS
from gateway.diagnose.remedies.en_network import CONNECTION
from gateway.diagnose.remedies.en_request import REQUEST
from gateway.diagnose.remedies.en_service import SERVICE
from gateway.diagnose.remedy import PLACEHOLDERS, Remedy, fill
from gateway.model.cause import Again, Cause

PARTS = (CONNECTION, BETWEEN, EDGE, SERVICE, LIMITS, ACCOUNT, REQUEST, CLIENT, GATEWAY)

FACTS = {
    "provider": "OpenAI",
    "model": "gpt-4o",
    "host": "api.openai.com",
    "status": "429",
    "detail": "Slow down",
}
SUBSETS = [set(names) for size in range(len(FACTS) + 1) for names in combinations(FACTS, size)]

# Dropping a placeholder is harmless only where it adds to a word that stands without it.
APPOSITION = re.compile(r"(?:provider {provider}|model {model}|server {host}|\({status}\)|: {detail}\.$)")
ANY_PLACEHOLDER = re.compile(r"{\w+}")
UNTIDY = re.compile(r"[{}]|\s\s|\( ?\)|\s[.,:;)]|[:,][.,:]|\.\.|^\s|\s$")

COMMANDS = ("run -- CMD", "start", "tail", "flows show ID", "ca path", "config show", "env")
EVASION = re.compile(
    r"\b(?:use|try|connect through|switch to|via|get|install) (?:a |another |some )?(?:vpn|tor)\b"
    r"|\b(?:bypass|circumvent|evade|get round|get around|unblock|work around|hotspot|mobile data|domain fronting)\b"
    r"|\b(?:another|different) (?:network|resolver|dns|region's)\b|\b(?:1\.1\.1\.1|8\.8\.8\.8|9\.9\.9\.9)\b",
    re.IGNORECASE,
)
UNSAFE = re.compile(r"verify=False|NODE_TLS_REJECT_UNAUTHORIZED|--insecure|curl -k\b", re.IGNORECASE)
BLAME = re.compile(r"\byou (?:forgot|failed|should have|did wrong)\b|\b(?:simply|obviously|of course)\b", re.IGNORECASE)


def every_text(remedy: Remedy) -> tuple[str, ...]:
    """All that a person may read of a remedy."""
    return (
        remedy.title,
        remedy.what_it_means,
        remedy.what_happened,
        *remedy.what_to_do,
        remedy.not_to_be_confused_with,
    )


def made_of(what_happened: str) -> Remedy:
    """Make a remedy of which only the sentence matters."""
    return Remedy(
        title="A title",
        what_it_means="It means something.",
        what_happened=what_happened,
        what_to_do=("Do something.",),
        not_to_be_confused_with="Something else.",
    )


def test_every_cause_has_exactly_one_remedy() -> None:
    assert set(ENGLISH) == set(Cause)
    assert sum(len(part) for part in PARTS) == len(ENGLISH) == 98


def test_no_title_and_no_sentence_about_a_call_is_used_twice() -> None:
    assert len({remedy.title for remedy in ENGLISH.values()}) == len(ENGLISH)
    assert len({remedy.what_happened for remedy in ENGLISH.values()}) == len(ENGLISH)


@pytest.mark.parametrize("cause", Cause)
def test_lengths(cause: Cause) -> None:
    remedy = ENGLISH[cause]
    assert len(remedy.title) <= 48
    assert 2 <= len(remedy.title.split()) <= 6
    assert len(remedy.what_it_means) <= 300
    assert len(remedy.what_happened) <= 240
    assert 1 <= len(remedy.what_to_do) <= 4
    assert all(len(step) <= 220 for step in remedy.what_to_do)
    assert len(remedy.not_to_be_confused_with) <= 220


@pytest.mark.parametrize("cause", Cause)
def test_sentences_begin_and_end_properly(cause: Cause) -> None:
    remedy = ENGLISH[cause]
    title, *sentences = every_text(remedy)
    assert title[-1].isalnum()
    assert all(text == text.strip() and text.isascii() for text in (title, *sentences))
    assert all(sentence.endswith(".") for sentence in sentences)
    assert all(text[0].isupper() or text.startswith("whygate") for text in (title, *sentences))
    assert 1 <= len(re.findall(r"[.?!](?: |$)", remedy.what_it_means)) <= 2
    assert len(re.findall(r"[.?!](?: |$)", remedy.not_to_be_confused_with)) == 1
    assert len(re.findall(r"[.?!](?: |$)", remedy.what_happened)) == 1


@pytest.mark.parametrize("cause", Cause)
def test_placeholders_are_known_and_can_be_dropped(cause: Cause) -> None:
    remedy = ENGLISH[cause]
    names = [
        name for _, name, form, conversion in Formatter().parse(remedy.what_happened) if name or form or conversion
    ]
    assert set(names) <= set(PLACEHOLDERS)
    assert len(names) == len(set(names)) == len(APPOSITION.findall(remedy.what_happened))
    fixed = (remedy.title, remedy.what_it_means, *remedy.what_to_do, remedy.not_to_be_confused_with)
    assert not any("{" in text or "}" in text for text in fixed)


@pytest.mark.parametrize("cause", Cause)
def test_the_sentence_reads_well_whatever_is_known(cause: Cause) -> None:
    remedy = ENGLISH[cause]
    named = {name for _, name, _, _ in Formatter().parse(remedy.what_happened) if name}
    for names in SUBSETS:
        sentence = fill(remedy, **{name: FACTS[name] for name in names})
        assert not UNTIDY.search(sentence)
        assert sentence.endswith(".")
        assert all((FACTS[name] in sentence) == (name in names) for name in named)
    assert fill(remedy) == fill(remedy, **dict.fromkeys(FACTS, "")) == fill(remedy, **dict.fromkeys(FACTS, " \n"))


@pytest.mark.parametrize("cause", Cause)
def test_no_remedy_evades_a_policy_or_weakens_security_or_blames(cause: Cause) -> None:
    remedy = ENGLISH[cause]
    for text in every_text(remedy):
        assert "use a vpn" not in text.lower()
        assert not EVASION.search(text)
        assert not UNSAFE.search(text)
        assert not BLAME.search(text)


@pytest.mark.parametrize(
    "step",
    [
        "Use a VPN.",
        "Connect through a VPN.",
        "Try another network.",
        "Switch to Tor.",
        "Bypass the filter.",
        "Set 8.8.8.8.",
    ],
)
def test_the_check_for_evasion_would_notice(step: str) -> None:
    assert EVASION.search(step)


@pytest.mark.parametrize("cause", Cause)
def test_only_commands_that_exist_are_named(cause: Cause) -> None:
    for text in every_text(ENGLISH[cause]):
        for command in re.findall(r"`whygate ([^`]*)`", text):
            assert command in COMMANDS


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.again is Again.AFTER_STATED_WAIT])
def test_where_a_wait_helps_the_reader_learns_that_whygate_waits_and_paces(cause: Cause) -> None:
    steps = " ".join(ENGLISH[cause].what_to_do)
    assert "whygate" in steps
    assert re.search(r"\b[Ww]ait", " ".join(every_text(ENGLISH[cause])))
    assert re.search(r"\bpace[sd]?\b", steps)


def test_unknown_is_honest_and_says_what_to_send_to_whom() -> None:
    remedy = ENGLISH[Cause.UNKNOWN]
    steps = " ".join(remedy.what_to_do)
    assert "matches nothing known" in remedy.what_happened
    assert all(
        word in steps for word in ("request id", "`whygate flows show ID`", "provider's support", "whygate project")
    )


def test_fill_keeps_values_as_they_are() -> None:
    remedy = made_of("The server {host} answered {status}: {detail}.")
    text = fill(remedy, host="a.example", status="400", detail='call f() : {"error": {provider}}')
    assert text == 'The server a.example answered 400: call f() : {"error": {provider}}.'


@pytest.mark.parametrize(
    ("detail", "end"),
    [("Stop.", "Stop."), ("Why?", "Why?"), ("and so on...", "and so on..."), ("two\n  lines", "two lines.")],
)
def test_fill_ends_a_sentence_once_and_on_one_line(detail: str, end: str) -> None:
    assert fill(made_of("It said: {detail}."), detail=detail) == f"It said: {end}"


def test_fill_drops_brackets_commas_and_colons_that_hold_nothing() -> None:
    remedy = made_of("The call ({host}), to {model}, failed ( {status} ): {detail}.")
    assert fill(remedy) == "The call, to, failed."
    assert fill(remedy, host="a.example", unheard_of="x") == "The call (a.example), to, failed."
