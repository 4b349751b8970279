"""The page of a gateway that runs, in a real browser, while real SDKs call through it."""

import json
import os
from typing import Any

import httpx2
import pytest

from tests.e2e.world import MARK, World, job, new_key
from tests.gateway.show.browser import Browser

ENTER = "\ue007"


@pytest.fixture
def page(world: World, browser: Browser) -> Browser:
    runtime = world.gateway.runtime
    browser.look_like(width=1280)
    browser.go(f"http://{runtime['page']}/?token={runtime['token']}")
    browser.wait("document.querySelector('#link').dataset.state === 'up'")
    return browser


def _url(world: World) -> str:
    return f"http://{world.gateway.runtime['page']}"


def test_a_call_that_fails_is_on_the_page_a_moment_later_with_its_cause(page: Browser, world: World) -> None:
    """By the SDK, over the wire, into the log and onto the page, which nobody reloads."""
    asked = job("chat", "over", model="simulate:quota.exhausted", max_retries=0)
    result = world.proxied.ask_one(asked)
    flow_id = result["error"]["headers"]["x-whygate-flow-id"]
    page.wait(f"document.querySelector('[data-id=\"{flow_id}\"]')", 5)
    text = page.text(f'[data-id="{flow_id}"]')
    assert "quota.exhausted" in text
    page.run("document.querySelector(arguments[0]).click()", f'[data-id="{flow_id}"] button')
    page.wait("document.querySelector('#drawer').innerText.includes('What to do')")
    drawer = page.text("#drawer")
    assert drawer.index("What to do") < drawer.index("Facts")


def test_the_program_that_called_is_named(page: Browser, world: World) -> None:
    """It takes a moment to find out, which a busy machine makes longer; the connection is kept meanwhile."""
    with world.gateway.client() as client:

        def ask() -> dict[str, Any] | None:
            answer = client.get("https://api.openai.com/v1/models", headers={"authorization": f"Bearer {new_key()}"})
            row = world.gateway.flow(answer.headers["x-whygate-flow-id"])
            return row if row["app"] else None

        row = world.gateway.until(ask, 10.0)
    assert f"(pid {os.getpid()})" in row["app"]
    page.wait(f"document.querySelector('[data-id=\"{row['id']}\"]')", 5)
    page.run("document.querySelector(arguments[0]).click()", f'[data-id="{row["id"]}"] button')
    page.wait(f"document.querySelector('#drawer').innerText.includes('(pid {os.getpid()})')", 5)


def test_a_stream_shows_when_its_events_came(page: Browser, world: World) -> None:
    result = world.proxied.ask_one(job("chat", "one two three four five", stream=True))
    row = world.row(result)
    events = row["events"]
    assert events["count"] >= 3
    assert sum(events["counts"]) == events["count"]
    assert events["bytes"] > 0
    assert row["ttft_ms"] <= events["began_ms"] + 5


def test_the_page_asks_nobody_but_its_gateway(page: Browser, world: World) -> None:
    """Every request that the browser makes, the drawer and the overview included."""
    world.proxied.ask_one(job("chat", "x", model="simulate:provider.server_error", max_retries=0))
    page.wait("document.querySelector('tbody.flow')")
    page.keys("j")
    page.keys(ENTER)
    page.wait("!document.querySelector('#drawer').hidden")
    asked: list[str] = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert len(asked) > 8
    assert [name for name in asked if not name.startswith(_url(world) + "/")] == []
    assert page.complaints() == []


def test_no_key_and_no_token_stands_in_anything_that_the_page_is_given(page: Browser, world: World) -> None:
    world.proxied.ask_one(job("chat", "x", model="simulate:auth.invalid_key", max_retries=0))
    token = world.gateway.runtime["token"]
    assert token not in page.run("return location.href + document.documentElement.outerHTML + document.cookie")
    headers = {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=_url(world), headers=headers, trust_env=False) as client:
        texts = [
            client.get(path).text
            for path in ("/api/flows?limit=500", "/api/limits", "/api/overview", "/api/health", "/api/cache")
        ]
        texts += [client.get(f"/api/flows/{flow['id']}").text for flow in json.loads(texts[0])["flows"][:50]]
    assert [text for text in texts if MARK in text or token in text] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "TOKEN", "host": "evil.example"}, 421),
        ({"authorization": "TOKEN", "origin": "http://evil.example"}, 403),
        ({"authorization": "TOKEN", "sec-fetch-site": "cross-site"}, 403),
        ({"authorization": "TOKEN"}, 200),
    ],
)
def test_who_is_let_in(world: World, headers: dict[str, str], status: int) -> None:
    told: dict[str, Any] = {
        name: value.replace("TOKEN", f"Bearer {world.gateway.runtime['token']}") for name, value in headers.items()
    }
    with httpx2.Client(base_url=_url(world), trust_env=False) as client:
        assert client.get("/api/flows", headers=told).status_code == status


def test_whole_bodies_are_kept_on_request_alone_and_everybody_is_told(page: Browser, world: World) -> None:
    before = world.row(world.proxied.ask_one(job("chat", "a quiet thought")))
    assert (before["request_body"], before["body"]) == (None, None)
    headers = {"authorization": f"Bearer {world.gateway.runtime['token']}"}
    with httpx2.Client(base_url=_url(world), headers=headers, trust_env=False) as client:
        assert client.post("/api/capture", json={"seconds": 60, "endpoint": "chat.completions"}).status_code == 200
        try:
            page.wait("!document.querySelector('#capture').hidden", 10)
            assert "whygate capture --stop" in page.text("#capture")
            plain = world.row(world.proxied.ask_one(job("chat", "a loud thought")))
            stream = world.row(world.proxied.ask_one(job("chat", "a streamed thought", stream=True)))
            other = world.row(world.proxied.ask_one(job("responses", "elsewhere")))
        finally:
            client.post("/api/capture", json={"seconds": 0})
    assert "a loud thought" in plain["request_body"]
    assert json.loads(plain["body"])["object"] == "chat.completion"
    assert "a streamed thought" in stream["request_body"]
    assert stream["body"].rstrip().endswith("[DONE]")
    assert (other["request_body"], other["body"]) == (None, None)
    after = world.row(world.proxied.ask_one(job("chat", "quiet again")))
    assert after["request_body"] is None
    page.wait("document.querySelector('#capture').hidden", 10)
