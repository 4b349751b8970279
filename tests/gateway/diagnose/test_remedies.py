"""Every cause has words that help, in every language that is there, and the words keep their promises."""

import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations

import pytest

from gateway.diagnose.remedy import LANGUAGES, PLACEHOLDERS, Remedy, fill, words
from gateway.model.cause import Again, Cause

FACTS = {
    "provider": "OpenAI",
    "model": "gpt-4o",
    "host": "api.openai.com",
    "status": "429",
    "detail": "Slow down",
    "vendor": "Cisco Umbrella",
    "issuer": "Zscaler Intermediate Root CA",
    "address": "146.112.61.104",
    "proxy": "proxy.corp.example:3128",
    "limit": "30000",
    "used": "29500",
    "requested": "1200",
    "over": "700",
    "max_tokens": "4096",
    "wait": "26 s",
    "seconds": "60",
    "keys_page": "https://platform.openai.com/api-keys",
    "limits_page": "https://platform.openai.com/settings/organization/limits",
    "billing_page": "https://platform.openai.com/settings/organization/billing/overview",
    "status_page": "https://status.openai.com",
    "models_page": "https://developers.openai.com/api/docs/models",
    "settings_page": "https://platform.openai.com/settings/organization/general",
    "variable": "HTTPS_PROXY",
    "count": "12",
}

_FOLDER = files("gateway.diagnose") / "remedies"
PRESENT = tuple(language for language in LANGUAGES if (_FOLDER / f"{language}.toml").is_file())
ENGLISH = words("en").remedies
EVERYWHERE = [pytest.param(language, cause, id=f"{language}-{cause}") for language in PRESENT for cause in Cause]

NAME = re.compile(r"{(\w+)}")
SEGMENT = re.compile(r"\[([^\[\]]*)\]")
CODE = re.compile(r"`[^`]*`")
END = re.compile(r"[.?!](?: |$)")
# In Chinese the sentence ends with its own mark, and no space stands beside it.
LAST = {"zh": "\u3002"}
UNTIDY = re.compile(
    r"[{}\[\]]|\s\s|\( ?\)|\uff08\s*\uff09|\s[.,:;)\u3002\uff0c\uff1a\uff1b\uff09]|[\uff08(][ ,:;\uff0c\uff1a\uff1b]"
    r"|[:,;\uff1a\uff0c\uff1b\u3001] ?[.,:;)\u3002\uff0c\uff1a\uff1b\uff09]|\.\.|\u3002\u3002|``|^\s|\s$|^[,:;\uff0c\uff1a\uff1b]"
)
# Without its brackets, dropping a placeholder is harmless only where it adds to a word that stands without it.
APPOSITION = re.compile(r"(?:provider {provider}|model {model}|server {host}|\({status}\)|: {detail}\.$)")

COMMANDS = (
    "run -- CMD", "run --check -- CMD", "start", "tail", "flows show ID", "explain FILE", "ca path", "config show", "env"
)  # fmt: skip
EVASION = {
    "en": re.compile(
        r"\b(?:use|try|connect through|switch to|via|get|install) (?:a |another |some )?(?:vpn|tor)\b"
        r"|\b(?:bypass|circumvent|evade|get round|get around|unblock|work around|hotspot|mobile data|domain fronting)\b"
        r"|\b(?:another|different) (?:network|resolver|dns|region's)\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(
        "\u7ffb\u5899|\u79d1\u5b66\u4e0a\u7f51|\u7ed5\u8fc7|\u89c4\u907f|\u7a81\u7834|\u70ed\u70b9"
        "|(?:\u4f7f\u7528|\u6539\u7528|\u6362\u7528|\u901a\u8fc7|\u6362\u4e2a|\u6302) ?(?:VPN|Tor|\u68af\u5b50)"
        "|\u6362\u4e00?\u4e2a(?:\u7f51\u7edc|DNS|\u5730\u533a)",
        re.IGNORECASE,
    ),
    "it": re.compile(
        r"\b(?:usa|usare|prova|provare|tramite|attraverso|passa a|installa) (?:un[ao]? |un'altra )?(?:vpn|tor)\b"
        r"|\b(?:aggira\w*|elud\w*|bypassa\w*|scavalca\w*|sblocca\w*|hotspot|dati mobili)\b"
        r"|\b(?:un'altra rete|un altro (?:dns|resolver))\b",
        re.IGNORECASE,
    ),
}
UNSAFE = re.compile(
    r"verify=False|NODE_TLS_REJECT_UNAUTHORIZED|--insecure|curl -k\b|strict-ssl|\b(?:1\.1\.1\.1|8\.8\.8\.8|9\.9\.9\.9)\b",
    re.IGNORECASE,
)
BLAME = {
    "en": re.compile(
        r"\byou (?:forgot|failed|should have|did wrong)\b|\b(?:simply|obviously|of course)\b", re.IGNORECASE
    ),
    "zh": re.compile(
        "\u4f60\u5fd8|\u60a8\u5fd8|\u4f60\u7684\u9519|\u60a8\u7684\u9519|\u672c\u5e94|\u663e\u7136|\u5f53\u7136"
    ),
    "it": re.compile(
        r"\b(?:hai dimenticato|avresti dovuto|hai sbagliato|colpa tua|semplicemente|ovviamente|naturalmente)\b",
        re.IGNORECASE,
    ),
}


def templates(remedy: Remedy) -> dict[str, str]:
    """The texts that are filled in for a call, by name."""
    return {"what_happened": remedy.what_happened} | {
        f"step {number}": step for number, step in enumerate(remedy.what_to_do, 1)
    }


def every_text(remedy: Remedy) -> tuple[str, ...]:
    """All that a person may read of a remedy but its source."""
    return (
        remedy.title,
        remedy.what_it_means,
        remedy.how_we_know,
        *templates(remedy).values(),
        remedy.not_to_be_confused_with,
    )


def fillings(text: str) -> Iterator[tuple[str, set[str]]]:
    """The text with every choice of the facts that it names, and with all that there are."""
    named = sorted(set(NAME.findall(text)))
    for size in range(len(named) + 1):
        for chosen in combinations(named, size):
            yield fill(text, {name: FACTS[name] for name in chosen}), set(chosen)
    yield fill(text, FACTS), set(named)


def names_of(text: str) -> tuple[set[str], Counter[frozenset[str]]]:
    """What a text names, and what each of its bracketed parts names."""
    return set(NAME.findall(text)), Counter(frozenset(NAME.findall(part)) for part in SEGMENT.findall(text))


def test_facts_cover_every_placeholder() -> None:
    assert set(FACTS) == set(PLACEHOLDERS)


def test_english_comes_first_and_stands_in_for_what_we_do_not_speak() -> None:
    assert PRESENT[0] == LANGUAGES[0] == "en"
    assert words("tlh") is words("en")


@pytest.mark.parametrize("language", PRESENT)
def test_every_cause_has_exactly_one_remedy(language: str) -> None:
    assert list(words(language).remedies) == list(ENGLISH)
    assert set(ENGLISH) == set(Cause)


@pytest.mark.parametrize("language", PRESENT)
def test_no_title_and_no_sentence_about_a_call_is_used_twice(language: str) -> None:
    remedies = words(language).remedies.values()
    assert len({remedy.title for remedy in remedies}) == len(remedies)
    assert len({remedy.what_happened for remedy in remedies}) == len(remedies)


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_lengths(language: str, cause: Cause) -> None:
    remedy = words(language).remedies[cause]
    assert all(text.strip() for text in (*every_text(remedy), remedy.source))
    assert len(remedy.title) <= 48
    assert len(remedy.what_it_means) <= 320
    assert len(remedy.how_we_know) <= 320
    assert 1 <= len(remedy.what_to_do) <= 4
    assert all(len(fill(text, FACTS)) <= 260 for text in templates(remedy).values())
    assert len(remedy.not_to_be_confused_with) <= 240
    assert len(remedy.source) <= 180


@pytest.mark.parametrize("cause", Cause)
def test_english_sentences_begin_and_end_properly(cause: Cause) -> None:
    remedy = ENGLISH[cause]
    title, *sentences = every_text(remedy)
    assert 2 <= len(title.split()) <= 6
    assert title[-1].isalnum()
    assert all(text == text.strip() and text.isascii() for text in (title, *sentences, remedy.source))
    assert all(text[0].isupper() or text.startswith("whygate") for text in (title, *sentences))
    assert 1 <= len(END.findall(remedy.what_it_means)) <= 2
    assert 1 <= len(END.findall(CODE.sub("code", remedy.how_we_know))) <= 2
    assert len(END.findall(remedy.not_to_be_confused_with)) == 1
    assert len(END.findall(remedy.what_happened)) == 1
    assert not remedy.source.endswith((".", ";"))


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_sentences_end_with_the_mark_of_their_language(language: str, cause: Cause) -> None:
    remedy = words(language).remedies[cause]
    for text in (remedy.what_it_means, remedy.how_we_know, remedy.not_to_be_confused_with):
        assert text.endswith(LAST.get(language, "."))
        assert not re.search(r"\s\s|^\s|\s$", text)


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_placeholders_are_known_and_can_be_dropped(language: str, cause: Cause) -> None:
    remedy = words(language).remedies[cause]
    for text in templates(remedy).values():
        assert set(NAME.findall(text)) <= set(PLACEHOLDERS)
        assert re.sub(r"[{}]", "", NAME.sub("", text)) == NAME.sub("", text)
        assert all(NAME.search(part) for part in SEGMENT.findall(text))
        assert not re.search(r"[\[\]]", SEGMENT.sub("", text))
    outside = SEGMENT.sub("", remedy.what_happened)
    assert len(NAME.findall(outside)) == len(set(NAME.findall(outside)))
    assert set(NAME.findall(outside)) <= {"provider", "model", "host", "status", "detail"}
    if language == "en":
        assert len(NAME.findall(outside)) == len(APPOSITION.findall(outside))
    assert not any(NAME.search(SEGMENT.sub("", step)) for step in remedy.what_to_do)
    fixed = (remedy.title, remedy.what_it_means, remedy.how_we_know, remedy.not_to_be_confused_with, remedy.source)
    assert not any(re.search(r"[\[\]{}]", text) for text in fixed)


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_every_text_reads_well_whatever_is_known(language: str, cause: Cause) -> None:
    for name, template in templates(words(language).remedies[cause]).items():
        outside = set(NAME.findall(SEGMENT.sub("", template)))
        parts = [set(NAME.findall(part)) for part in SEGMENT.findall(template)]
        for text, known in fillings(template):
            assert not UNTIDY.search(CODE.sub("code", text)), (name, text)
            assert text.endswith(LAST.get(language, ".")), (name, text)
            assert text.count("`") % 2 == 0, (name, text)
            for part in (*({one} for one in outside), *parts):
                assert not part <= known or all(FACTS[one] in text for one in part), (name, text)
        blank = fill(template, dict.fromkeys(FACTS, ""))
        assert fill(template, {}) == blank == fill(template, dict.fromkeys(FACTS, " \n"))


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_a_translation_says_as_much_as_the_english(language: str, cause: Cause) -> None:
    there, here = templates(ENGLISH[cause]), templates(words(language).remedies[cause])
    assert list(here) == list(there)
    for name, text in here.items():
        assert names_of(text) == names_of(there[name]), name


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_no_remedy_evades_a_policy_or_weakens_security_or_blames(language: str, cause: Cause) -> None:
    for text in every_text(words(language).remedies[cause]):
        assert not EVASION[language].search(text)
        assert not UNSAFE.search(text)
        assert not BLAME[language].search(text)


@pytest.mark.parametrize(
    ("language", "step"),
    [
        ("en", "Use a VPN."),
        ("en", "Connect through a VPN."),
        ("en", "Try another network."),
        ("en", "Switch to Tor."),
        ("en", "Bypass the filter."),
        ("zh", "\u8bf7\u4f7f\u7528 VPN\u3002"),
        ("zh", "\u6362\u4e2a\u7f51\u7edc\u8bd5\u8bd5\u3002"),
        ("zh", "\u7ed5\u8fc7\u8fc7\u6ee4\u5668\u3002"),
        ("it", "Usa una VPN."),
        ("it", "Aggira il filtro."),
        ("it", "Prova un'altra rete."),
    ],
)
def test_the_check_for_evasion_would_notice(language: str, step: str) -> None:
    assert EVASION[language].search(step)


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_only_commands_that_exist_are_named(language: str, cause: Cause) -> None:
    for text in every_text(words(language).remedies[cause]):
        assert all(command in COMMANDS for command in re.findall(r"`whygate ([^`]*)`", text))


@pytest.mark.parametrize(("language", "cause"), EVERYWHERE)
def test_commands_and_settings_are_not_translated(language: str, cause: Cause) -> None:
    def commands(remedy: Remedy) -> list[list[str]]:
        return [sorted(re.findall(r"`whygate [^`]*`|\b[A-Z_]+=", step)) for step in remedy.what_to_do]

    assert commands(words(language).remedies[cause]) == commands(ENGLISH[cause])


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.again is Again.AFTER_STATED_WAIT])
def test_where_a_wait_helps_the_reader_learns_that_whygate_waits_and_paces(cause: Cause) -> None:
    steps = " ".join(ENGLISH[cause].what_to_do)
    assert "whygate" in steps
    assert re.search(r"\b[Ww]ait", " ".join(every_text(ENGLISH[cause])))
    assert re.search(r"\bpace[sd]?\b", steps)


def test_a_stage_of_our_own_names_itself_as_the_source() -> None:
    for cause in Cause:
        assert (ENGLISH[cause].source == "whygate's own stage") == cause.startswith("proxy.")


def test_what_a_website_said_carries_the_date_of_reading() -> None:
    for cause in Cause:
        source = ENGLISH[cause].source
        assert not re.search(r"\b(?:com|dev|ai|cn|org|io)/", source) or re.search(
            r"\((?:read 20\d\d-\d\d|not checked)\)", source
        )


def test_unknown_is_honest_and_says_what_to_send_to_whom() -> None:
    remedy = ENGLISH[Cause.UNKNOWN]
    steps = " ".join(remedy.what_to_do)
    assert "matches nothing known" in remedy.what_happened
    assert all(
        word in steps for word in ("request id", "`whygate flows show ID`", "provider's support", "whygate project")
    )


def test_fill_keeps_values_as_they_are() -> None:
    facts = {"host": "a.example", "status": "400", "detail": 'call f() : {"error": {provider}} [{host}]'}
    text = fill("The server {host} answered {status}: {detail}.", facts)
    assert text == 'The server a.example answered 400: call f() : {"error": {provider}} [{host}].'


@pytest.mark.parametrize(
    ("detail", "end"),
    [("Stop.", "Stop."), ("Why?", "Why?"), ("and so on...", "and so on..."), ("two\n  lines", "two lines.")],
)
def test_fill_ends_a_sentence_once_and_on_one_line(detail: str, end: str) -> None:
    assert fill("It said: {detail}.", {"detail": detail}) == f"It said: {end}"


def test_fill_drops_brackets_commas_and_colons_that_hold_nothing() -> None:
    template = "The call ({host}), to {model}, failed ( {status} ): {detail}."
    assert fill(template, {}) == "The call, to, failed."
    assert fill(template, {"host": "a.example", "unheard_of": "x"}) == "The call (a.example), to, failed."


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "Wait and call again."),
        ({"wait": "26 s"}, "Wait 26 s and call again."),
        ({"used": "3"}, "Wait and call again."),
        ({"used": "3", "limit": "4"}, "Wait and call again (3 of 4 are used)."),
        ({"wait": " ", "used": "3", "limit": ""}, "Wait and call again."),
    ],
)
def test_fill_leaves_out_a_part_when_one_of_its_facts_is_missing(facts: dict[str, str], text: str) -> None:
    assert fill("Wait[ {wait}] and call again[ ({used} of {limit} are used)].", facts) == text


def test_fill_tidies_chinese_marks_too() -> None:
    template = "\u8c03\u7528\u5931\u8d25\uff1a{detail}\u3002"
    assert fill(template, {}) == "\u8c03\u7528\u5931\u8d25\u3002"
    assert fill(template, {"detail": "no route\u3002"}) == "\u8c03\u7528\u5931\u8d25\uff1ano route\u3002"
