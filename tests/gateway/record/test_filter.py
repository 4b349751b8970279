"""One filter, two ways to apply it, one result."""

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.record.backends.sqlite import FlowStore, Ready, open_read_only, select
from gateway.record.filter import BadFilterError, FlowFilter, since_text
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
    q=st.sampled_from(["", "ünï", "too fast", "100%", "it's 'quoted'", "%", "_", "\ud800", "x'; DROP TABLE flows; --"]),
    since=st.sampled_from(["", "2026-09-14T00:00:00.000Z"]),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filter") / "flows.db"
    store = FlowStore(path)
    store.write([Ready.of(row) for row in _rows()])
    store.close()
    return path


@settings(deadline=None)
@given(wanted=FILTERS)
def test_memory_and_file_agree_on_every_filter(stored: Path, wanted: FlowFilter) -> None:
    """A row must not vanish from a list by being committed."""
    with closing(open_read_only(stored)) as connection:
        found = [row["seq"] for row in select(connection, wanted, 2**60, 1000)]
    assert found == sorted((row.seq for row in _rows() if wanted.matches(row)), reverse=True)


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
