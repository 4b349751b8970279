"""One filter, two ways to apply it, one result."""

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.record.backends.reading import select
from gateway.record.backends.sqlite import FlowStore, Ready, open_read_only
from gateway.record.filter import BadFilterError, FlowFilter, since_text
from tests.gateway.record.earlier import write_version_1
from tests.gateway.record.made import EPOCH, a_row

CAUSES = [None, "unknown", "rate_limit.tokens", "rate_limit.requests", "rate_limits.odd", "quota.exhausted"]


def _rows() -> list[Any]:
    dice = random.Random(7)
    return [
        a_row(
            n,
            cause=dice.choice(CAUSES),
            fault=dice.choice([None, "caller", "provider"]),
            status=dice.choice([None, 200, 399, 400, 429, 499, 503]),
            provider=dice.choice(["openai", "anthropic"]),
            model=dice.choice(["gpt-5", "Ünï-Modell", "100%_sure"]),
            tenant=dice.choice(["default", "team-a"]),
            kind=dice.choice(["api", "tunnel"]),
            client=f"10.0.0.{dice.randint(1, 3)}:{dice.randint(32768, 60000)}",
            key=dice.choice(["1f2e3d4c", "aabbccdd"]),
            path=dice.choice(["/v1/chat", f"/v1/responses/resp_{dice.getrandbits(64):016x}"]),
            started_at=f"2026-09-{dice.randint(1, 28):02d}T00:00:00.000Z",
            diagnosis=dice.choice([None, {"title": "Too FAST", "what_happened": "It's 'quoted' \"twice\"; --"}]),
        )
        for n in range(1, 300)
    ]


FILTERS = st.builds(
    FlowFilter,
    cause=st.sampled_from(["", "*", "unknown", "rate_limit.*", "rate_limit.tokens", "quota.*", "nothing.*"]),
    fault=st.sampled_from(["", "caller", "nobody"]),
    status=st.sampled_from(["", "429", "4xx", "2xx", "5xx", "418"]),
    provider=st.sampled_from(["", "openai", "' OR 1=1 --"]),
    model=st.sampled_from(["", "gpt-5", "Ünï-Modell"]),
    tenant=st.sampled_from(["", "team-a"]),
    kind=st.sampled_from(["", "tunnel"]),
    q=st.sampled_from(
        [
            "",
            "ünï",
            "too fast",
            "100%",
            "it's 'quoted'",
            "\ud800",
            "%",
            "_",
            "x'; DROP TABLE flows; --",
            "3",
            "10.0.0.2:4",
            "resp_",
            "1f2e3d4c openai",
            "row- 12 resp_",
            "quoted resp_ 7",
            "f",
            "twice gpt-5",
        ]
    ),
    since=st.sampled_from(["", "2026-09-14T00:00:00.000Z"]),
)


def _at_once(path: Path) -> None:
    store = FlowStore(path)
    store.write([Ready.of(row) for row in _rows()])
    store.close()


def _one_by_one(path: Path) -> None:
    store = FlowStore(path)
    for row in _rows():
        store.write([Ready.of(row)])
    store.close()


def _half_moved(path: Path) -> None:
    """The oldest as version 1 left them, those in between moved from there, the newest written since."""
    write_version_1(path, _rows()[:200])
    store = FlowStore(path)
    store.move_earlier(100)
    store.write([Ready.of(row) for row in _rows()[200:]])
    store.close()


@pytest.fixture(
    scope="module", params=[_at_once, _one_by_one, _half_moved, lambda path: write_version_1(path, _rows())]
)
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filter") / "flows.db"
    request.param(path)
    return path


@settings(deadline=None)
@given(wanted=FILTERS, below=st.sampled_from([2**60, 299, 150, 3, 1]), limit=st.sampled_from([1, 7, 1000]))
def test_memory_and_file_agree_on_every_filter(stored: Path, wanted: FlowFilter, below: int, limit: int) -> None:
    """A row must not vanish from a list by being committed, whichever version wrote it."""
    with closing(open_read_only(stored)) as connection:
        found = [row["seq"] for row in select(connection, wanted, below, limit)]
    meant = sorted((row.seq for row in _rows() if row.seq < below and wanted.matches(row)), reverse=True)
    assert found == meant[:limit]


def test_a_word_is_found_at_any_place_in_any_case_and_of_any_length() -> None:
    """In what many rows share, and in what is a row's own."""
    row = a_row(
        1, id="0a1b2c", client="10.0.3.7:4711", key="5e6f", host="Api.Example", path="/v1/responses/resp_68ab12cd34ef"
    )
    for q in ("PI.EX", "0A1", "b", "é", "3.7:47", "resp_68AB", "/responses/ 5e6f", "4711 api 0a1b2c"):
        assert FlowFilter(q=q).matches(row) == (q != "é")


def test_a_family_does_not_match_its_neighbour() -> None:
    """``rate_limit.*`` is not ``rate_limits.odd``."""
    assert not FlowFilter(cause="rate_limit.*").matches(a_row(1, cause="rate_limits.odd"))


@pytest.mark.parametrize(
    "bad", [{"cause": "Rate Limit"}, {"cause": "a.b.c"}, {"cause": "%"}, {"status": "6xx"}, {"status": "40"}]
)
def test_a_value_that_means_nothing_is_refused(bad: dict[str, str]) -> None:
    """With its name and what is expected."""
    with pytest.raises(BadFilterError, match=f"{next(iter(bad))}=.*expected"):
        FlowFilter(**bad)


def test_since_is_an_age_or_a_time() -> None:
    """Both end up in the form that rows have."""
    assert since_text("2h", EPOCH) == "2026-09-21T11:33:20.000Z".replace("11:33", "12:13")
    assert since_text("2026-09-21T16:00:00+02:00", EPOCH) == "2026-09-21T14:00:00.000Z"
    assert since_text("", EPOCH) == ""
    with pytest.raises(BadFilterError, match="expected an age like"):
        since_text("yesterday", EPOCH)
