"""How many tokens a request will take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identify.estimate import MEDIA_TOKENS, OUTPUT_TOKENS, Estimates, input_characters

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=600),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
)


def test_only_the_named_fields_count() -> None:
    document: dict[str, object] = {"input": "12345678", "user": "x" * 100, "model": "m"}
    assert input_characters(document, ("input", "absent")) == (8, 0)


def test_text_counts_wherever_it_stands() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "12345678"}]}]
    assert input_characters({"messages": messages}, ("messages",)) == (4 + 4 + 8, 0)


@pytest.mark.parametrize("data", ["data:image/png;base64,AAAA", "A" * 600])
def test_an_encoded_picture_counts_a_fixed_amount_whatever_its_length(data: str) -> None:
    assert input_characters({"input": [{"image_url": data}]}, ("input",)) == (0, 1)
    assert input_characters({"input": [{"image_url": data * 50}]}, ("input",)) == (0, 1)


def test_long_text_is_no_picture() -> None:
    for text in ("word " * 300, "漢" * 600):
        assert input_characters({"input": text}, ("input",)) == (len(text), 0)


def test_token_ids_count_one_token_each() -> None:
    characters, media = input_characters({"input": [[1, 2, 3], [4]]}, ("input",))
    assert Estimates().tokens_in("m", characters, media) == 4


def test_the_depth_of_a_document_does_not_matter() -> None:
    node: object = "12345678"
    for _ in range(50_000):
        node = [node]
    assert input_characters({"input": node}, ("input",)) == (8, 0)


@given(document=st.dictionaries(st.text(max_size=3), _JSON, max_size=4))
def test_counting_is_total(document: dict[str, object]) -> None:
    characters, media = input_characters(document, tuple(document))
    assert characters >= 0
    assert media >= 0


def test_nothing_learned_means_four_characters_a_token() -> None:
    estimates = Estimates()
    assert estimates.tokens_in("m", 400, 0) == 100
    assert estimates.tokens_in("m", 400, 2) == 100 + 2 * MEDIA_TOKENS
    assert estimates.tokens_in("m", 0, 0) == 1


def test_without_experience_the_stated_maximum_counts_and_else_what_is_usual() -> None:
    assert Estimates().tokens_out("m", 4_000) == 4_000
    assert Estimates().tokens_out("m", None) == OUTPUT_TOKENS


def test_with_experience_what_is_usual_counts_but_never_more_than_allowed() -> None:
    estimates = Estimates()
    for tokens in range(1, 101):
        estimates.learn("m", 1, None, tokens)
    assert estimates.tokens_out("m", 4_000) == 90
    assert estimates.tokens_out("m", None) == 90
    assert estimates.tokens_out("m", 10) == 10
    assert estimates.tokens_out("other", None) == OUTPUT_TOKENS


def test_what_is_usual_follows_a_model_that_changes() -> None:
    estimates = Estimates()
    for tokens in [10] * 300 + [1_000] * 110:
        estimates.learn("m", 1, None, tokens)
    assert estimates.tokens_out("m", None) == 1_000


def test_the_factor_converges_to_what_the_provider_counts() -> None:
    estimates = Estimates()
    for _ in range(200):
        estimates.learn("m", estimates.tokens_in("m", 4_000, 0), 1_500, None)
    assert estimates.tokens_in("m", 4_000, 0) == pytest.approx(1_500, rel=0.02)


@given(counts=st.lists(st.tuples(st.integers(0, 10**9), st.none() | st.integers(0, 10**9)), max_size=50))
def test_no_answer_can_push_an_estimate_out_of_its_range(counts: list[tuple[int, int | None]]) -> None:
    estimates = Estimates()
    for estimated, counted in counts:
        estimates.learn("m", estimated, counted, counted)
    assert 250 <= estimates.tokens_in("m", 4_000, 0) <= 4_000
    assert 1 <= estimates.tokens_out("m", None) <= 10**9


def test_of_too_many_models_the_one_unused_for_longest_is_forgotten() -> None:
    estimates = Estimates()
    for name in ["kept", *map(str, range(499)), "kept", "one more"]:
        estimates.learn(name, 1, None, 7)
    assert estimates.tokens_out("kept", None) == 7
    assert estimates.tokens_out("0", None) == OUTPUT_TOKENS
