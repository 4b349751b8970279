"""Keeping whole bodies, by way of the page's API."""

from typing import Any

import httpx2
import pytest

from tests.gateway.show.served import Served


def change(served: Served, body: Any) -> httpx2.Response:
    with served.client() as client:
        return client.post("/api/capture", json=body)


def capture(served: Served) -> Any:
    with served.client() as client:
        return client.get("/api/health").json()["capture"]


def test_it_is_begun_seen_and_ended(served: Served) -> None:
    assert capture(served) is None
    answer = change(served, {"seconds": 600, "provider": "openai"})
    assert answer.status_code == 200
    told = capture(served)
    assert told == answer.json()["capture"]
    assert (told["provider"], told["model"], told["kept"], told["missed"]) == ("openai", "", 0, 0)
    assert told["left_seconds"] == 600
    assert change(served, {"seconds": 0}).json() == {"capture": None}
    assert capture(served) is None


@pytest.mark.parametrize(
    "body",
    [
        {}, {"seconds": -1}, {"seconds": 3601}, {"seconds": True}, {"seconds": "600"}, {"seconds": None}, [],
        {"seconds": 5, "model": ""}, {"seconds": 5, "model": 7}, {"seconds": 5, "model": "x" * 201},
        {"seconds": 5, "tenant": "a"},
    ],
)  # fmt: skip
def test_what_is_not_understood_begins_nothing(served: Served, body: Any) -> None:
    answer = change(served, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_body")
    assert capture(served) is None


def test_a_stranger_begins_nothing(served: Served) -> None:
    with served.bare() as client:
        assert client.post("/api/capture", json={"seconds": 5}).status_code == 401
    assert capture(served) is None
