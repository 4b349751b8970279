"""The numbers of a refusal, out of the words that services use; words that hold none give none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.numbers import read_numbers
from gateway.model.cause import Cause

LENGTH, TOKENS, REQUESTS = Cause.REQUEST_CONTEXT_LENGTH, Cause.RATE_LIMIT_TOKENS, Cause.RATE_LIMIT_REQUESTS


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion). Please reduce the length.",
            {"limit": 8192, "requested": 9000, "over": 808, "max_tokens": 192},
        ),
        (
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130500 tokens.",
            {"limit": 128_000, "requested": 130_500, "over": 2_500},
        ),
        ("prompt is too long: 205000 tokens > 200000 maximum", {"limit": 200_000, "requested": 205_000, "over": 5_000}),
        (
            "The input token count (1048580) exceeds the maximum number of tokens allowed (1048576).",
            {"limit": 1_048_576, "requested": 1_048_580, "over": 4},
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the messages, 500 in the completion).",
            {"limit": 4096, "requested": 5000, "over": 904},
        ),
        (
            "The prompt (total length 40,960) is too long to fit into the model (context length 32,768).",
            {"limit": 32_768, "requested": 40_960, "over": 8_192},
        ),
    ],
    ids=["OpenAI", "OpenAI, messages", "Anthropic", "Gemini", "vLLM", "with commas"],
)
def test_how_much_too_long_it_is(message: str, numbers: dict[str, int]) -> None:
    found = read_numbers(LENGTH, message)
    assert {name: found.get(name) for name in numbers} == numbers


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("Range of input length should be [1, 30720]", {"limit": 30_720}),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
            {"limit": 200_000, "max_tokens": 10_000},
        ),
        ("The model supports at most 32768 tokens.", {"limit": 32_768}),
    ],
    ids=["DashScope", "Anthropic, sum", "a limit alone"],
)
def test_a_limit_that_stands_alone_is_told(message: str, numbers: dict[str, int]) -> None:
    found = read_numbers(LENGTH, message)
    assert {name: found.get(name) for name in numbers} == numbers


@pytest.mark.parametrize(
    "message",
    [
        "Prompt too long for claude-3-5-sonnet-20241022: at most 200000 tokens.",
        "The input is too long for gpt-4-0613 (context window 8192).",
    ],
)
def test_the_name_of_a_model_is_no_number_of_tokens(message: str) -> None:
    assert not {"requested", "over"} & read_numbers(LENGTH, message).keys()


@pytest.mark.parametrize(
    ("cause", "message", "numbers"),
    [
        (
            TOKENS,
            "Rate limit reached for gpt-5 in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
            {"limit": 30_000, "used": 29_000, "requested": 2_000, "over": 1_000},
        ),
        (REQUESTS, "Rate limit reached on requests per min (RPM): Limit 3, Used 3, Requested 1.", {"limit": 3, "used": 3, "requested": 1, "over": 1}),
        (
            Cause.REQUEST_INVALID_PARAMETER,
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
            {"limit": 16_384, "requested": 100_000, "max_tokens": 16_384},
        ),
    ],
    ids=["tokens", "requests", "an answer that may be too long"],
)  # fmt: skip
def test_how_much_is_left_of_an_allowance(cause: Cause, message: str, numbers: dict[str, int]) -> None:
    found = read_numbers(cause, message)
    assert {name: found.get(name) for name in numbers} == numbers


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Your input is too long.",
        "limit is reached",
        "Limit -5",
        "Limit 0, Requested 0",
        "\u4f59\u989d\u4e0d\u8db3",
        "Too many requests: 1 2 3",
    ],
)
@pytest.mark.parametrize("cause", [LENGTH, TOKENS, Cause.UNKNOWN])
def test_words_without_such_numbers_give_none(cause: Cause, message: str) -> None:
    assert read_numbers(cause, message) == {}


@given(cause=st.sampled_from(Cause), message=st.text() | st.text("maximum context length is limit used requested 0123456789,[]() ", max_size=400))  # fmt: skip
def test_whatever_is_read_is_a_number_above_zero(cause: Cause, message: str) -> None:
    found = read_numbers(cause, message)
    assert set(found) <= {"limit", "used", "requested", "over", "max_tokens"}
    assert all(isinstance(value, int) and value > 0 for value in found.values())


def test_what_stands_behind_the_start_of_a_message_is_what_the_caller_had_sent() -> None:
    assert read_numbers(LENGTH, "too long. " + "x" * 4_000 + " maximum context length is 8192 tokens") == {}
