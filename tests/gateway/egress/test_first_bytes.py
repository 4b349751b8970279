"""How long answers take to begin."""

import pytest

from gateway.egress import first_bytes
from gateway.egress.first_bytes import ENOUGH, KEPT, FirstBytes


def _known(*seconds: float) -> FirstBytes:
    made = FirstBytes()
    for each in seconds:
        made.note("h", "m", each, stream=False)
    return made


def test_nothing_is_usual_until_enough_answers_were_seen() -> None:
    assert _known(*[5.0] * (ENOUGH - 1)).usual("h", "m", stream=False) == 0
    assert _known(*[5.0] * ENOUGH).usual("h", "m", stream=False) == 5.0


def test_it_is_what_nine_of_ten_stay_below() -> None:
    assert _known(*map(float, range(KEPT))).usual("h", "m", stream=False) == int(KEPT * 0.9)


def test_what_was_usual_long_ago_is_forgotten() -> None:
    assert _known(*[60.0] * KEPT, *[1.0] * KEPT).usual("h", "m", stream=False) == 1.0


def test_hosts_models_and_streams_differ() -> None:
    known = _known(*[5.0] * ENOUGH)
    assert known.usual("h", "m", stream=True) == known.usual("h", "n", stream=False) == 0
    assert known.usual("other", "m", stream=False) == 0


def test_how_much_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_bytes, "SCOPES_MAX", 5)
    made = FirstBytes()
    for number in range(50):
        made.note("h", str(number), 1.0, stream=False)
    assert len(made._took) == 5
