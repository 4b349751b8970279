"""What may leave this machine: texts are cleaned, and whatever the cleaning left is found."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.record.har import URL_SAFE
from gateway.record.leaks import DIRECTORY, NAME, SHAPE, Cleaner, Known, find, secrets_of

HOME = "/home/mirella"
SECRET = 'tr0ub"adour/&3'


def test_a_home_directory_becomes_a_tilde() -> None:
    cleaner = Cleaner(HOME, "mirella")
    assert cleaner.text("no file /home/mirella/ca.pem") == "no file ~/ca.pem"
    assert cleaner.text("in '/home/mirella'") == "in '~'"
    assert cleaner.text("/home/mirellas and /srv/home/mirella/x") == "/home/mirellas and /srv/home/~/x"
    assert cleaner.removed == {DIRECTORY: 2, NAME: 1}


def test_a_user_name_becomes_a_tilde_where_it_stands_alone() -> None:
    cleaner = Cleaner(HOME, "mirella")
    assert cleaner.text("for mirella: no") == "for ~: no"
    for kept in ("mirella.example.com", "api-mirella", "mirellas"):
        assert cleaner.text(kept) == kept


@pytest.mark.parametrize("user", ["root", "ubuntu", "openai", "ab", ""])
def test_a_name_that_names_nobody_stays(user: str) -> None:
    assert Cleaner("", user).text(f"the {user} certificate") == f"the {user} certificate"


def test_names_of_fields_stay_and_values_of_any_depth_are_cleaned() -> None:
    dirty = {"mirella": [{"path": "/home/mirella/x"}, ("Bearer sk-abcdefghijkl", 7, None)]}
    assert Cleaner(HOME, "mirella").clean(dirty) == {"mirella": [{"path": "~/x"}, ["Bearer [redacted]", 7, None]]}


@pytest.mark.parametrize("home", ["", "/", "//"])
def test_a_home_directory_that_is_none_takes_nothing_out(home: str) -> None:
    assert Cleaner(home, "").text("GET /v1/models") == "GET /v1/models"
    assert find({"a": b"GET /v1/models"}, (), home) == []


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe=URL_SAFE),
        json.dumps(SECRET),
        json.dumps(json.dumps({"a": SECRET})),
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
)
def test_a_known_secret_is_found_in_every_form_that_a_file_gives_it(form: str) -> None:
    files = {"good.txt": b"nothing", "bad.txt": b"before " + form.encode() + b" behind"}
    (leak,) = find(files, [Known("the kind", SECRET.encode())])
    assert leak == ("bad.txt", "the kind")


def test_a_secret_of_bytes_is_found() -> None:
    key = bytes(range(128, 160))
    assert find({"a": b"x" + key.hex().encode()}, [Known("key", key)]) == [("a", "key")]
    assert find({"a": b"x" + key}, [Known("key", key)]) == [("a", "key")]


def test_shapes_and_the_home_directory_are_found_without_being_told() -> None:
    files = {"a": b"key AIzaSyA1234567890abcdefghijk", "b": b"x /home/mirella/y", "c": b"Bearer [redacted]"}
    assert find(files, (), HOME) == [("a", SHAPE), ("b", DIRECTORY)]


def test_names_of_files_are_looked_at_as_well() -> None:
    assert find({"reproduce/sk-abcdefghijklmn.sh": b""}, ()) == [("reproduce/sk-abcdefghijklmn.sh", SHAPE)]


def test_variables_are_secret_by_their_names_and_from_8_characters_on() -> None:
    env = {
        "OPENAI_API_KEY": "x" * 8, "gh_token": "y" * 9, "MY_SECRET_2": "z" * 10, "PGPASSWORD": "p" * 8,
        "SHORT_TOKEN": "x" * 7, "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    assert [known.value for known in secrets_of(env)] == [b"x" * 8, b"y" * 9, b"z" * 10, b"p" * 8]
    assert all(known.value.decode() not in known.kind for known in secrets_of(env))


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=20), st.text(max_size=12))
def test_what_was_cleaned_holds_neither_a_shape_nor_the_home_directory(text: str, more: str, user: str) -> None:
    cleaner = Cleaner(HOME, user)
    clean = cleaner.text(f"{text}{HOME}/{more} Bearer sk-abcdefgh1234")
    assert find({"file": clean.encode("utf-8", "replace")}, (), HOME) == []
