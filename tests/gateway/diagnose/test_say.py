"""A verdict is said again in another language from what is stored of it."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from gateway.diagnose.remedy import LANGUAGES
from gateway.diagnose.say import retold, say
from gateway.explain.judge import Judge
from gateway.explain.rows import of_row
from gateway.model.diagnosis import Diagnosis

ROW = {
    "request": {"method": "POST", "url": "https://api.openai.com/v1/chat/completions", "model": "gpt-4o"},
    "response": {
        "status": 429,
        "headers": {"retry-after": "20"},
        "body": '{"error":{"message":"Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29500, Requested 1200.","type":"tokens","code":"rate_limit_exceeded"}}',
    },
}


@pytest.fixture(scope="module")
def verdict() -> Diagnosis:
    return Judge().judge(of_row(ROW))


def as_stored(verdict: Diagnosis) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(json.dumps(asdict(verdict)))
    return stored


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stored_verdict_is_said_as_the_verdict_itself_would_be(verdict: Diagnosis, language: str) -> None:
    """Numbers and names of the call included."""
    assert retold(as_stored(verdict), language) == as_stored(say(verdict, language))


def test_there_and_back_is_where_it_began(verdict: Diagnosis) -> None:
    stored = as_stored(verdict)
    assert retold(retold(stored, "zh"), "en") == stored
    assert retold(stored, "zh")["title"] != stored["title"]


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": None},
        {"clues": []},
        {"clues": ["a line"]},
        {"ruled_out": ["edge.blocked"]},
        {"cause": "quota.of_tomorrow"},
        {"cause": None},
    ],
)
def test_a_verdict_that_cannot_be_said_again_is_given_back_as_it_is(
    verdict: Diagnosis, changes: dict[str, Any]
) -> None:
    """Older versions kept neither facts nor clues, newer ones may know more causes."""
    stored = as_stored(verdict) | changes
    assert retold(stored, "it") == stored


@pytest.mark.parametrize("missing", ["facts", "clues", "ruled_out", "cause"])
def test_a_verdict_with_less_than_it_takes_is_given_back_as_it_is(verdict: Diagnosis, missing: str) -> None:
    stored = {name: value for name, value in as_stored(verdict).items() if name != missing}
    assert retold(stored, "it") == stored


def test_what_is_stored_stays_as_it_was(verdict: Diagnosis) -> None:
    stored = as_stored(verdict)
    retold(stored, "zh")
    assert stored == as_stored(verdict)
