"""What a text says, whatever its exact words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.wording import MAX_CHARACTERS, Text, groups, joints_opened, phrase


def _says(text: str, *alternatives: str, by_line: bool = False) -> bool:
    return Text(text, by_line=by_line).says(groups(*alternatives))


@pytest.mark.parametrize(
    "text",
    [
        "Your balance is not enough.",
        "YOUR BALANCE IS NOT ENOUGH",
        "balance: isn't enough? Not enough!",
        "Not enough balance",
        "error - balance_not_enough",
        "The account's balance\tis\u00a0not  enough",
    ],
)
def test_a_wording_that_nobody_has_seen_yet_is_understood(text: str) -> None:
    assert _says(text, "balance|credit", "not enough|insufficient")


@pytest.mark.parametrize(
    "text",
    [
        "Your balance is fine. There is not enough room.",
        "Your balance is fine; there is not enough room",
        "balance\nnot enough",
        "\u4f59\u989d balance\u3002not enough",
        "balance",
        "",
    ],
)
def test_all_groups_have_to_meet_in_one_sentence(text: str) -> None:
    assert not _says(text, "balance|credit", "not enough|insufficient")


@pytest.mark.parametrize(
    "text", ["can't connect", "can\u2019t connect", "cannot connect", "can not connect", "CANNOT connect"]
)
def test_contractions_are_opened(text: str) -> None:
    assert _says(text, "can not connect")
    assert _says(text, "can't connect")
    assert _says(text, "cannot connect")


@pytest.mark.parametrize("text", ["you don't have access", "you don\u2019t have access", "you do not have access"])
def test_every_form_of_not_is_the_same(text: str) -> None:
    assert _says(text, "do not have access")


def test_a_phrase_stands_at_the_beginning_of_a_word() -> None:
    assert _says("two keys", "key")
    assert not _says("a monkey", "key")
    assert not _says("the turkeys", "key")


def test_a_space_at_its_end_closes_the_word() -> None:
    assert _says("the model is gone", "model ")
    assert _says("gone is the model", "model ")
    assert not _says("models are gone", "model ")
    assert _says("the model.", "model ")


def test_a_dot_inside_a_number_or_a_name_ends_no_sentence() -> None:
    assert _says("gpt-4.1 of api.openai.com was not found", "gpt", "not found")
    assert not _says("It was gpt-4. Nothing was not found", "gpt", "not found")


def test_chinese_knows_no_words_so_that_phrases_stand_anywhere() -> None:
    assert _says("\u60a8\u7684\u8d26\u6237\u4f59\u989d\u4e0d\u8db3", "\u4f59\u989d", "\u4e0d\u8db3")
    assert not _says("\u4f59\u989d\u5145\u8db3\u3002\u6743\u9650\u4e0d\u8db3", "\u4f59\u989d", "\u4e0d\u8db3")


def test_what_programs_print_is_read_by_lines() -> None:
    assert _says("requests.exceptions.ConnectTimeout: timed out", "connecttimeout", "timed out", by_line=True)
    assert _says("Failed. Then it timed out.", "failed", "timed out", by_line=True)
    assert not _says("Failed.\nThen it timed out.", "failed", "timed out", by_line=True)


def test_what_stands_behind_a_dot_is_a_word_of_its_own_in_what_programs_print() -> None:
    assert Text("httpx.ReadError", by_line=True).has("readerror")
    assert Text("at 10.0.0.1:443", by_line=True).has("10.0.0.1 443")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ConnectTimeoutError", "Connect Timeout Error"),
        ("httpx.ReadTimeout", "httpx.Read Timeout"),
        ("ECONNREFUSED", "ECONNREFUSED"),
        ("SSLError", "SSLError"),
        ("Http2Stream", "Http2 Stream"),
        ("timeout", "timeout"),
    ],
)
def test_names_in_camel_case_are_opened(name: str, words: str) -> None:
    assert joints_opened(name) == words


def test_a_phrase_may_stand_anywhere_in_the_text_when_no_sentence_is_asked_for() -> None:
    text = Text("One sentence. Another one.")
    assert text.has("another")
    assert text.has("nothing", "sentence")
    assert not text.has("other")
    assert not text.has("sentence another one more")


@pytest.mark.parametrize("text", ["", " ", "...", "!?;", "\n\n", "-- __ --", "\u3002"])
def test_punctuation_says_nothing(text: str) -> None:
    assert not Text(text)
    assert not Text(text).says(groups("a"))


def test_only_the_start_of_a_message_counts() -> None:
    assert not _says("x " * (MAX_CHARACTERS // 2) + "balance", "balance")
    assert _says(" " * (MAX_CHARACTERS - 8) + "balance", "balance")


def test_an_empty_alternative_says_nothing() -> None:
    assert groups("a||b| ", "c") == ((" a", " b"), (" c",))


@given(st.text(max_size=300))
def test_reading_a_text_is_total_and_gives_words_between_single_spaces(text: str) -> None:
    for by_line in (False, True):
        for sentence in Text(text, by_line=by_line).sentences:
            assert sentence == f" {' '.join(sentence.split())} "
            assert sentence == sentence.lower() or not sentence.isascii()


@given(st.lists(st.sampled_from(["model", "not", "found", "don't", "api_key", "x-y", "v1.2"]), min_size=1, max_size=5))
def test_every_text_says_its_own_words(words: list[str]) -> None:
    text = " ".join(words)
    assert Text(text).has(text)
    assert Text(f"so: {text}, it was").says(((phrase(text),),))
