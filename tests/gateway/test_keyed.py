"""`keyed_digest`."""

import pytest

from gateway.keyed import keyed_digest


def test_it_is_what_others_make_of_the_same() -> None:
    # openssl mac -macopt hexkey:6b...6b -macopt size:32 BLAKE2BMAC
    expected = "f43effdad0de6052d7ddd2a27828a1904f07727a31309322f85a1896b6a3bf23"
    assert keyed_digest(b"k" * 32, b"text").hex() == expected


def test_equal_bytes_under_one_key_are_equal_and_nothing_else_is() -> None:
    texts = [b"", b"a", b"b", b"ab", b"a" * 5000]
    made = {keyed_digest(secret, text) for secret in (b"one" * 10, b"two" * 10) for text in texts}
    assert len(made) == 2 * len(texts)
    assert keyed_digest(b"one" * 10, b"ab") == keyed_digest(b"one" * 10, b"ab")


def test_a_key_that_is_too_long_is_refused_and_not_cut() -> None:
    with pytest.raises(ValueError, match="key"):
        keyed_digest(b"k" * 65, b"text")
