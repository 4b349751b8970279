"""What leaves the process comes back as it was, or not at all."""

import hmac
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.seal import DamagedError, seal, unseal
from gateway.model.decision import Label, StoredReply
from tests.gateway.cache.contract import a_reply, of

SECRET = b"s" * 32
TEXTS = st.text(st.characters(codec=None), max_size=12)
SOME_BYTES = st.binary(max_size=40)
COUNTS = st.none() | st.integers()
REPLIES = st.builds(
    StoredReply,
    status=st.integers(100, 999),
    headers=st.lists(st.tuples(SOME_BYTES, SOME_BYTES), max_size=4).map(tuple),
    body=st.binary(max_size=300),
    stored_at=st.floats(),
    fresh_until=st.floats(),
    kept_until=st.floats(),
    label=st.builds(Label, provider=TEXTS, endpoint=TEXTS, model=TEXTS, key=TEXTS, tenant=TEXTS, rule=TEXTS),
    tokens_in=COUNTS,
    tokens_out=COUNTS,
)


@given(st.binary(max_size=64), SOME_BYTES, REPLIES)
def test_every_answer_comes_back_as_it_was(secret: bytes, key: bytes, reply: StoredReply) -> None:
    """Also where a time is no number, which equals nothing; so its text is compared."""
    assert repr(unseal(secret, key, seal(secret, key, reply))) == repr(reply)


@settings(max_examples=25, deadline=None)
@given(SOME_BYTES, REPLIES, st.integers(1, 255))
def test_a_change_of_any_byte_is_found(key: bytes, reply: StoredReply, change: int) -> None:
    blob = bytearray(seal(SECRET, key, reply))
    for place in range(len(blob)):
        blob[place] ^= change
        with pytest.raises(DamagedError):
            unseal(SECRET, key, bytes(blob))
        blob[place] ^= change


@settings(max_examples=25, deadline=None)
@given(SOME_BYTES, REPLIES, st.binary(min_size=1, max_size=3))
def test_a_blob_that_was_cut_or_goes_on_is_found(key: bytes, reply: StoredReply, more: bytes) -> None:
    blob = seal(SECRET, key, reply)
    for end in range(len(blob)):
        with pytest.raises(DamagedError):
            unseal(SECRET, key, blob[:end])
    for other in (blob + more, more + blob, blob + blob):
        with pytest.raises(DamagedError):
            unseal(SECRET, key, other)


@given(SOME_BYTES, SOME_BYTES, SOME_BYTES, SOME_BYTES)
def test_an_answer_fits_one_key_and_one_secret(key: bytes, other: bytes, secret: bytes, another: bytes) -> None:
    blob = seal(secret, key, a_reply())
    if key != other:
        with pytest.raises(DamagedError):
            unseal(secret, other, blob)
    # HMAC pads a short secret with zeros: those with zeros behind them are the same one.
    if secret.rstrip(b"\0") != another.rstrip(b"\0"):
        with pytest.raises(DamagedError):
            unseal(another, key, blob)


@given(REPLIES, REPLIES)
def test_two_answers_are_the_same_bytes_only_if_they_are_the_same(one: StoredReply, other: StoredReply) -> None:
    assert (seal(SECRET, b"k", one) == seal(SECRET, b"k", other)) == (repr(one) == repr(other))


def test_bytes_do_not_move_between_names_and_values() -> None:
    blobs = {
        seal(SECRET, b"k", a_reply(headers=headers))
        for headers in (((b"ab", b"c"),), ((b"a", b"bc"),), ((b"", b"abc"),), ((b"a", b""), (b"b", b"c")))
    }
    labels = {seal(SECRET, b"k", a_reply(label=label)) for label in (of("ab", "c"), of("a", "bc"), of("", "abc"))}
    assert (len(blobs), len(labels)) == (4, 3)


def test_another_version_is_refused() -> None:
    blob = seal(SECRET, b"k", a_reply())
    with pytest.raises(DamagedError, match="form"):
        unseal(SECRET, b"k", b"\x02" + blob[1:])


@pytest.mark.parametrize("found", [None, "", "text", 7, 1.5, b"", b"\x01", b"\x01" * 33, b"\x01" * 400])
def test_anything_that_may_stand_in_its_place_is_damage(found: object) -> None:
    with pytest.raises(DamagedError):
        unseal(SECRET, b"k", found)


def test_nothing_is_parsed_before_the_seal_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that claims four gigabytes never gets so far."""
    blob = seal(SECRET, b"k", a_reply())
    checked: list[bool] = []
    compare = hmac.compare_digest

    def compare_and_note(found: bytes, due: bytes) -> bool:
        checked.append(compare(found, due))
        return checked[-1]

    monkeypatch.setattr(hmac, "compare_digest", compare_and_note)
    with pytest.raises(DamagedError, match="seal"):
        unseal(SECRET, b"k", blob[:33] + b"\xff\xff\xff\xff" + blob[37:])
    assert checked == [False]


def test_endless_times_come_back() -> None:
    reply = unseal(SECRET, b"k", seal(SECRET, b"k", a_reply(kept_until=math.inf, stored_at=-0.0)))
    assert reply.kept_until == math.inf
    assert math.copysign(1, reply.stored_at) == -1
