"""``/api/limits``: what the gate knows, for those who may ask."""

from pathlib import Path

import httpx2

from gateway.record.recorder import Recorder
from gateway.show.web import build_page
from tests.gateway.record.made import HandClock
from tests.gateway.show.served import TOKEN, Served

NOTHING = {"shadow": False, "waiting": 0, "waiting_bytes": 0, "queue_max": 0, "queue_max_bytes": 0, "scopes": []}
SCOPE = {
    "provider": "openai",
    "model": "gpt-4o",
    "pause_reason": "zu viel ☕",
    "limits": [{"level": 3.25}],
    "users": [],
}


def test_limits_pass_through_as_they_are_said_at_that_moment(served: Served) -> None:
    with served.client() as client:
        assert client.get("/api/limits").json() == NOTHING
        served.limits.update(waiting=12, scopes=[SCOPE])
        answer = client.get("/api/limits")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == NOTHING | {"waiting": 12, "scopes": [SCOPE]}


def test_limits_are_only_read_and_only_by_those_who_may(served: Served) -> None:
    """They tell which programs run on this machine."""
    served.limits.update(scopes=[SCOPE])
    with served.bare() as client:
        refused = client.get("/api/limits")
        assert refused.status_code == 401
        assert "gpt-4o" not in refused.text
        assert client.get("/api/limits", headers={"authorization": "Bearer wrong"}).status_code == 401
        client.get("/", params={"token": TOKEN})
        assert client.get("/api/limits").status_code == 200, "the page itself"
    with served.client(origin="https://evil.example") as client:
        assert client.get("/api/limits").status_code == 403
    with served.client() as client:
        assert client.post("/api/limits").status_code == 405


async def test_a_page_that_stands_alone_knows_no_limit(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "flows.db", HandClock())
    recorder.start()
    try:
        page = build_page(recorder, token=TOKEN, health=dict, allowed_hosts=frozenset({"page"}), version="0.0-test")
        transport = httpx2.ASGITransport(app=page)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://page", headers=headers) as client:
            assert (await client.get("/api/limits")).json() == NOTHING
        page.state.feed.close()
    finally:
        recorder.close()
