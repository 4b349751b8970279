"""``/api/cache``: what the cache saves and could save; and clearing it."""

import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.cache.backend import Wanted
from gateway.record.recorder import Recorder
from gateway.show.web import build_page
from tests.gateway.record.made import HandClock
from tests.gateway.show.served import TOKEN, Served


def clear(served: Served, body: object) -> httpx2.Response:
    with served.client() as client:
        return client.post("/api/cache/clear", json=body)


def test_the_document_is_given_as_it_is_at_that_moment(served: Served) -> None:
    with served.client() as client:
        assert client.get("/api/cache").json() == {"enabled": False}
        served.cache.update(enabled=True, entries=12, suggestions=[{"rule": "[[cache.rules]]\n", "usd": 0.04}])
        answer = client.get("/api/cache")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == served.cache


def test_without_the_token_nothing_is_told_or_cleared(served: Served) -> None:
    with served.bare() as client:
        assert client.get("/api/cache").status_code == 401
        assert client.post("/api/cache/clear", json={}).status_code == 401
        client.get("/", params={"token": TOKEN})
        assert client.get("/api/cache").status_code == 200, "the page itself"
        assert client.post("/api/cache/clear", json={}).status_code == 401, "a cookie changes nothing"
    with served.client(origin="https://evil.example") as client:
        assert client.post("/api/cache/clear", json={}).status_code == 403
    assert served.cleared == []


def test_what_is_to_be_cleared_is_what_was_sent(served: Served) -> None:
    assert clear(served, {}).json() == {"cleared": 3}
    clear(served, {"model": "gpt-4o*"})
    clear(served, {"key": "ab12cd34", "model": "x"})
    assert served.cleared == [Wanted(), Wanted("gpt-4o*"), Wanted("x", "ab12cd34")]


def test_an_age_becomes_the_moment_before_which_answers_go(served: Served) -> None:
    begin = time.time()
    assert clear(served, {"older_than_seconds": 60}).status_code == 200
    assert clear(served, {"older_than_seconds": 0.5}).status_code == 200
    minute, moment = (one.before for one in served.cleared)
    assert minute is not None
    assert moment is not None
    assert begin - 60 <= minute <= time.time() - 60
    assert begin - 0.5 <= moment <= time.time() - 0.5


@pytest.mark.parametrize(
    "body",
    [
        [],
        "all",
        {"models": "gpt-4o"},
        {"model": 4},
        {"model": ""},
        {"model": None},
        {"model": "x" * 201},
        {"key": ["a"]},
        {"older_than_seconds": "3600"},
        {"older_than_seconds": True},
        {"older_than_seconds": -1},
        {"older_than_seconds": None},
        {"model": "gpt-4o", "more": 1},
    ],
)
def test_another_body_clears_nothing_and_is_told_what_is_expected(served: Served, body: Any) -> None:
    """A field that is misspelt must not come to mean everything."""
    answer = clear(served, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_body")
    assert "older_than_seconds" in answer.json()["error"]["message"]
    assert served.cleared == []


def test_what_is_no_json_or_too_long_clears_nothing(served: Served) -> None:
    json = {"content-type": "application/json"}
    with served.client() as client:
        assert client.post("/api/cache/clear").status_code == 415
        assert client.post("/api/cache/clear", content=b"{", headers=json).status_code == 400
        assert client.post("/api/cache/clear", content=b" " * 4_097, headers=json).status_code == 413
    assert served.cleared == []


def test_a_store_that_cannot_be_used_now_is_said_in_words(served: Served) -> None:
    served.cache.update(enabled=True, entries=None)
    answer = clear(served, {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "cache_unavailable")


async def test_a_page_that_stands_alone_has_no_cache(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "flows.db", HandClock())
    recorder.start()
    try:
        page = build_page(recorder, token=TOKEN, health=dict, allowed_hosts=frozenset({"page"}), version="0.0-test")
        transport = httpx2.ASGITransport(app=page)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://page", headers=headers) as client:
            assert (await client.get("/api/cache")).json() == {"enabled": False}
            assert (await client.post("/api/cache/clear", json={})).json() == {"cleared": 0}
        page.state.feed.close()
    finally:
        recorder.close()
