"""What comes again and again, and what a cache could have saved of it."""

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.repeats import GROUP_PROMPTS_MAX, PROMPTS_MAX, TTL_SECONDS, UNSEEN_SECONDS_MAX, Repeats, Suggestion
from gateway.model.decision import Label

ABOUT = Label(provider="openai", endpoint="chat.completions", model="gpt-4o")
SYSTEM = "ab" * 32


def key_of(text: object) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


def see(
    repeats: Repeats,
    prompt: object,
    *moments: float,
    about: Label = ABOUT,
    system: str = SYSTEM,
    temperature: float | None = None,
    tokens: tuple[int | None, int | None] = (100, 10),
) -> None:
    for now in moments:
        repeats.note(key_of(prompt), about, system, *tokens, 1_000, now, temperature)


def only(repeats: Repeats) -> Suggestion:
    (one,) = repeats.suggestions()
    return one


def test_a_prompt_that_came_three_times_within_the_hour_would_have_been_bought_once() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0)
    assert only(repeats) == Suggestion(
        "openai", "chat.completions", "gpt-4o", SYSTEM,
        seen=3, prompts=1, size_bytes=1_000, calls=2, tokens_in=200, tokens_out=20, varied=False,
    )  # fmt: skip
    assert repeats.notes == 3


def test_two_sightings_prove_nothing() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0)
    see(repeats, "b", 0.0, 60.0)
    assert repeats.suggestions() == []


def test_the_prompts_of_one_kind_are_one_suggestion_and_other_kinds_are_others() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0)
    see(repeats, "b", 0.0, 60.0)
    see(repeats, "c", 0.0)
    see(repeats, "d", 0.0, 60.0, 120.0, system="")
    see(repeats, "e", 0.0, 60.0, 120.0, about=Label(provider="openai", endpoint="chat.completions", model="o3"))
    first, *others = repeats.suggestions()
    assert (first.seen, first.prompts, first.calls, first.tokens_in) == (6, 3, 3, 300)
    assert {(one.model, one.system_sha256) for one in others} == {("gpt-4o", ""), ("o3", SYSTEM)}


def test_after_an_hour_an_answer_would_have_been_bought_again() -> None:
    repeats = Repeats()
    see(repeats, "a", *(number * TTL_SECONDS for number in range(5)))
    assert repeats.suggestions() == [], "nothing would have been saved"
    see(repeats, "a", 4 * TTL_SECONDS + 5)
    assert (only(repeats).seen, only(repeats).calls) == (6, 1)


def test_several_answers_to_one_question_at_once_are_no_static_prompt() -> None:
    """Best of n: however often the question came, a cache would have given one answer n times."""
    repeats = Repeats()
    see(repeats, "a", 0.0, 0.1, 0.2, 0.3, 0.4)
    assert repeats.suggestions() == []
    see(repeats, "a", *(100 + number / 10 for number in range(5)), *(200 + number / 10 for number in range(5)))
    assert (only(repeats).calls, only(repeats).varied) == (2, True)


def test_who_asks_one_after_the_other_repeats_however_fast() -> None:
    repeats = Repeats()
    for number in range(5):
        repeats.note(key_of("a"), ABOUT, SYSTEM, 100, 10, 1_000, number / 4, ended=number / 4 + 0.2)
    assert (only(repeats).calls, only(repeats).varied) == (4, False)


def test_two_at_a_time_are_marked_too() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 0.1, 100.0, 100.1, 200.0, 200.1)
    assert only(repeats).varied


def test_who_states_no_chance_wants_no_other_answer_however_fast_they_ask() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 0.1, 0.2, temperature=0.0)
    assert (only(repeats).calls, only(repeats).varied) == (2, False)


def test_who_asks_for_chance_is_marked_and_comes_after_all_others() -> None:
    repeats = Repeats()
    chance = Label(provider="openai", endpoint="chat.completions", model="o3")
    see(repeats, "a", 0.0, 60.0, 120.0, 180.0, about=chance, temperature=1.0, tokens=(9_000, 9_000))
    see(repeats, "b", 0.0, 60.0, 120.0)
    assert [(one.model, one.varied) for one in repeats.suggestions()] == [("gpt-4o", False), ("o3", True)]
    assert repeats.suggestions(0) == []


def test_the_most_worthwhile_is_first() -> None:
    repeats = Repeats()
    for model, tokens in (("cheap", (10, 10)), ("dear", (10, 500)), ("middle", (1_000, 10)), ("untold", (None, None))):
        about = Label(provider="openai", endpoint="chat.completions", model=model)
        see(repeats, model, 0.0, 60.0, 120.0, about=about, tokens=tokens)
    assert [one.model for one in repeats.suggestions()] == ["dear", "middle", "cheap", "untold"]
    assert [one.model for one in repeats.suggestions(2)] == ["dear", "middle"]


def test_calls_that_are_noted_in_another_order_than_they_came_count_the_same() -> None:
    """A slow answer is noted after that to a later call."""
    forth, back = Repeats(), Repeats()
    see(forth, "a", 0.0, 30.0, 60.0)
    see(back, "a", 60.0, 0.0, 30.0)
    assert forth.suggestions() == back.suggestions() != []


def test_one_kind_cannot_drive_out_what_others_repeat() -> None:
    repeats = Repeats()
    see(repeats, "mine", 0.0, 60.0, system="")
    for number in range(3 * PROMPTS_MAX):
        see(repeats, number, 100.0)
    see(repeats, "mine", 120.0, system="")
    assert only(repeats).seen == 3


def test_there_is_a_bound_on_all_that_is_remembered() -> None:
    repeats = Repeats()
    for number in range(PROMPTS_MAX + 500):
        see(repeats, number, float(number), system=f"{number % 50:064x}")
    kept = [entry[0] for group in repeats.document()["groups"] for entry in group["keys"]]
    assert len(kept) == PROMPTS_MAX
    assert key_of(499).hex() not in kept, "the one unseen for longest went"
    for number in range(2 * GROUP_PROMPTS_MAX):
        see(repeats, -number, 1e4)
    assert max(len(group["keys"]) for group in repeats.document()["groups"]) == GROUP_PROMPTS_MAX


def test_the_last_prompt_of_a_kind_may_make_room_for_the_next_of_it() -> None:
    repeats = Repeats()
    see(repeats, "first", 0.0, system="")
    for number in range(PROMPTS_MAX - 1):
        see(repeats, number, 1.0, system=f"{number % 50:064x}")
    see(repeats, "second", 2.0, 60.0, 120.0, system="")
    assert only(repeats).calls == 2


def test_what_nobody_asked_for_in_a_week_is_forgotten() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0)
    see(repeats, "b", 120.0 + UNSEEN_SECONDS_MAX, system="")
    assert repeats.suggestions() != []
    see(repeats, "b", 121.0 + UNSEEN_SECONDS_MAX, system="")
    assert repeats.suggestions() == []


@pytest.mark.parametrize("model", ["sk-proj-abcdefgh12345678", "x" * 201, "gpt\ud800", "gpt\n4"])
def test_what_is_no_name_of_a_model_is_not_kept(model: str) -> None:
    """A key in its place, above all."""
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0, about=Label(provider="openai", endpoint="chat.completions", model=model))
    assert repeats.document()["groups"] == []


def filled() -> Repeats:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0)
    see(repeats, "b", 0.5, 61.0, temperature=0.7)
    see(repeats, "c", 7.0, 8.5, 30.0, system="")
    return repeats


def test_it_goes_on_after_a_restart_where_it_was() -> None:
    before, after = filled(), Repeats()
    assert after.restore(json.loads(json.dumps(before.document())))
    assert after.document() == before.document()
    for repeats in (before, after):
        see(repeats, "a", 180.0)
        see(repeats, "new", 200.0, 260.0, 320.0)
    assert after.suggestions() == before.suggestions()


def damaged() -> list[Any]:
    """Documents that cannot be ours."""
    whole = filled().document()
    found: list[Any] = [
        None,
        [],
        "x",
        {},
        {"version": 1},
        {"version": 2, "groups": []},
        {"version": 1, "groups": {"a": 1}},
    ]
    for name, value in (
        ("seen", -1), ("seen", 1.5), ("seen", True), ("calls", "1"), ("tokens_in", 2**60), ("keys", []), ("keys", None),
        ("group", ["openai"]), ("group", ["openai", "chat", 4, ""]), ("group", ["a", "b", "sk-proj-abcdefgh12345678", ""]),
        ("keys", [["zz", 1, 0.0, 0.0]]), ("keys", [["ab", 1, 0.0, 0.0]]), ("keys", [["ab" * 32, 1, 0.0]]),
        ("keys", [["ab" * 32, 1, float("nan"), 0.0]]), ("keys", [["ab" * 32, 1, 0.0, float("inf")]]),
        ("keys", [["ab" * 32, 1, 0.0, 0.0]] * 2), ("keys", [[f"{number:064x}", 1, 0.0, 0.0] for number in range(1_001)]),
    ):  # fmt: skip
        document = copy.deepcopy(whole)
        document["groups"][1][name] = value
        found.append(document)
    twice = copy.deepcopy(whole)
    twice["groups"] *= 2
    return [*found, twice]


@pytest.mark.parametrize("document", damaged())
def test_of_a_damaged_document_nothing_is_taken_over(document: Any) -> None:
    repeats = filled()
    before = repeats.document()
    assert not repeats.restore(document)
    assert repeats.document() == before


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 2),
            st.floats(0, 2e6),
            st.none() | st.sampled_from([0.0, 0.7]),
            st.none() | st.integers(0, 10**6),
        ),
        max_size=60,
    )
)
def test_whatever_comes_no_more_is_said_to_be_saved_than_came(notes: list[Any]) -> None:
    repeats = Repeats()
    for prompt, group, now, temperature, tokens in notes:
        see(repeats, (prompt, group), now, system=f"{group:064x}", temperature=temperature, tokens=(tokens, tokens))
    assert Repeats().restore(repeats.document())
    for one in repeats.suggestions():
        mine = [note for note in notes if f"{note[1]:064x}" == one.system_sha256]
        assert one.seen <= len(mine)
        assert one.calls <= one.seen - one.prompts
        assert one.tokens_in <= sum(note[4] or 0 for note in mine)
