"""What a tenant sees of the page: its own calls. Every path of the API is asked, and no word of another may come back."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from gateway.show.openapi import OPERATIONS
from gateway.show.viewer import MEMBERS_MAY
from tests.gateway.record.made import a_call, a_live, a_route, a_row, until
from tests.gateway.show.served import READERS, Served

OTHERS = "canary-of-beta"
"""Stands in everything of the other tenant."""

MINE = "canary-of-alpha"
ENDLESS = "/api/live"


def a_row_of(tenant: str, mark: str, **changes: Any) -> Any:
    return a_row(
        0,
        id=f"{mark}-{changes.get('cause') or 'good'}",
        tenant=tenant,
        kind="api",
        host=f"{mark}.example",
        upstream=f"{mark}.example",
        model=mark,
        path=f"/{mark}",
        app=f"{mark} (pid 1)",
        key=mark,
        endpoint=mark,
        method="POST",
        **({"status": 200} | changes),
    )


def a_scope(tenant: str, mark: str) -> dict[str, Any]:
    user = {"tenant": tenant, "key": mark, "client": mark, "in_flight": 1, "queued": 1, "calls": 1}
    return {"provider": "openai", "account": mark, "model": mark, "in_flight": 1, "queued": 1, "users": [user]}


def as_tenant(served: Served, name: str, **headers: str) -> httpx2.Client:
    bearer = {"authorization": f"Bearer {READERS[name][0]}"}
    return httpx2.Client(base_url=served.url, headers=bearer | headers, trust_env=False, timeout=10)


@pytest.fixture
def shared(served: Served) -> Served:
    """Good, failed, running calls of two tenants; limits, a doctor and health that name the other."""
    for tenant, mark in (("alpha", MINE), ("beta", OTHERS)):
        for more in ({}, {"cause": "unknown", "status": 500, "diagnosis": {"title": mark, "what_happened": mark}}):
            served.recorder.recorded(a_row_of(tenant, mark, **more))
        served.recorder.opened(a_live(a_call(id=f"{mark}-running"), route=a_route(tenant=tenant, model=mark)))
    both = a_scope("alpha", "shared")
    both["users"].append(a_scope("beta", OTHERS)["users"][0])
    served.limits |= {"scopes": [a_scope("beta", OTHERS), both, a_scope("alpha", MINE)], "waiting": 3}
    served.cache |= {"enabled": True, "contents": [{"model": OTHERS}]}
    served.health |= {"state": "ready", "told": OTHERS}
    until(lambda: served.recorder.health()["written"] == 4)
    return served


def paths(path: str) -> Iterator[str]:
    """Give what a path may be asked for, filters that name the other among it."""
    for mark in (MINE, OTHERS):
        for which in ("good", "unknown", "running"):
            yield path.format(flow_id=f"{mark}-{which}", slug="unknown", name="app.js")
    if path == "/api/flows":
        for query in (f"q={OTHERS}", "tenant=beta", "tenant=default", f"model={OTHERS}", "kind=api", "cause=*"):
            yield f"{path}?{query}"


@pytest.mark.parametrize("path", [path for path in OPERATIONS if path != ENDLESS])
def test_nothing_of_another_tenant_comes_back(shared: Served, path: str) -> None:
    operation = OPERATIONS[path]
    with as_tenant(shared, "alpha") as member:
        for asked in dict.fromkeys(paths(path)):
            answer = member.request(operation.method.upper(), asked, json={} if operation.body is not None else None)
            about = answer.text.replace(asked, "")
            assert OTHERS not in about, asked
            assert "beta" not in about or path.startswith("/static"), asked
            is_open = operation.is_open or MEMBERS_MAY.fullmatch(path.replace("{", "").replace("}", ""))
            if not is_open:
                assert answer.status_code == 403, asked
                assert answer.json()["error"]["code"] == "admin_only"
                assert "tenant alpha" in answer.json()["error"]["message"]


def test_what_is_its_own_is_all_there(shared: Served) -> None:
    with as_tenant(shared, "alpha") as member:
        flows = member.get("/api/flows").json()["flows"]
        assert {row["id"].removeprefix(f"{MINE}-") for row in flows} == {"good", "unknown", "running"}
        assert member.get(f"/api/flows/{MINE}-unknown").json()["model"] == MINE
        assert member.get(f"/api/flows/{MINE}-unknown/before").json()["last_good"]["id"] == f"{MINE}-good"
        overview = member.get("/api/overview").json()
        assert [app["app"] for app in overview["apps"]] in ([f"{MINE} (pid 1)"], [])
        scopes = member.get("/api/limits").json()["scopes"]
        assert [scope["account"] for scope in scopes] == ["shared", MINE]
        assert {user["tenant"] for scope in scopes for user in scope["users"]} == {"alpha"}


def test_a_flow_of_another_is_answered_as_one_that_is_not_there(shared: Served) -> None:
    with as_tenant(shared, "alpha") as member:
        for after in ("", "/before", "/again"):
            there, nowhere = (member.get(f"/api/flows/{one}{after}") for one in (f"{OTHERS}-good", "nothing"))
            assert (there.status_code, there.content) == (404, nowhere.content)


def events_of(client: httpx2.Client, wanted: int) -> list[tuple[str, Any]]:
    found, name = [], ""
    with client, client.stream("GET", ENDLESS) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
            if sum(one == "flow" for one, _ in found) == wanted:
                break
    return found


@pytest.mark.parametrize("resumed", [False, True])
def test_the_live_feed_tells_of_ones_own_alone(shared: Served, resumed: bool) -> None:
    """Resumed: from what the feed has kept for everybody."""
    headers = {}
    if resumed:
        with shared.client() as admin, admin.stream("GET", ENDLESS) as answer:
            lines, seen = answer.iter_lines(), 0
            first = next(line for line in lines if line.startswith("id: "))
            headers["last-event-id"] = first.removeprefix("id: ")
            shared.recorder.recorded(a_row_of("beta", OTHERS, cause="later"))
            shared.recorder.recorded(a_row_of("alpha", MINE, cause="later"))
            for line in lines:
                seen += line.startswith("data: ") and "-later" in line
                if seen == 2:
                    break
    found = events_of(as_tenant(shared, "alpha", **headers), 1)
    assert {row["tenant"] for name, row in found if name == "flow"} == {"alpha"}
    assert OTHERS not in json.dumps(found)
    health = [value for name, value in found if name == "health"]
    assert all(value.keys() == {"state", "version", "log", "capture"} for value in health)


def test_an_admin_of_the_team_sees_and_may_do_what_the_pages_token_may(shared: Served) -> None:
    with as_tenant(shared, "boss") as admin:
        assert len(admin.get("/api/flows").json()["flows"]) == 6
        assert OTHERS in admin.get("/api/limits").text
        assert admin.post("/api/cache/clear", json={}).json() == {"cleared": 3}


def test_a_members_cookie_is_no_more_than_its_token(shared: Served) -> None:
    with shared.bare() as browser:
        signed = browser.get(f"/?token={READERS['alpha'][0]}")
        assert signed.status_code == 303
        assert READERS["alpha"][0] not in signed.headers["set-cookie"]
        assert {row["tenant"] for row in browser.get("/api/flows").json()["flows"]} == {"alpha"}
        assert browser.get("/api/cache").status_code == 403
        assert browser.post("/api/doctor/run", json={}, headers={"origin": shared.url}).status_code == 403


def test_one_tenant_cannot_take_all_places_of_the_live_feed(shared: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.show.web.MAX_WATCHERS_OF_A_TENANT", 0)
    with as_tenant(shared, "alpha") as member:
        assert member.get(ENDLESS).status_code == 503
    assert events_of(shared.client(), 1)
