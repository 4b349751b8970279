"""Under a limit, calls wait for their turn instead of failing."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.e2e.world import World, job, new_key, new_world
from tests.running import GatewayProcess, lane

RULES = """
[[limits.rules]]
provider = "openai"
model = "gpt-*"
per_second = 10
concurrency = 4
[[limits.rules]]
provider = "openai"
model = "one-at-a-time"
concurrency = 1
[[limits.rules]]
provider = "*"
model = "*-slow"
rpm = 1
"""


@pytest.fixture(scope="session")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider that is strict, and a gateway that knows its limits."""
    rules = RULES.replace('provider = "*"', 'provider = "anthropic"')
    with new_world(tmp_path_factory.mktemp("paced"), rules, requests_per_second=10, concurrency=4) as made:
        yield made


def test_thirty_calls_at_once_pass_a_strict_limit_and_none_fails(paced: World) -> None:
    """A third of them may pass at once; every other waits.

    On a busy machine a call may reach the provider late, in another window than ours; it is refused, and tried again.
    """
    key = new_key()
    jobs = [job("chat", f"number {n}", key=key, max_retries=0) for n in range(30)]
    results = paced.proxied.ask(jobs)
    assert [result["error"] for result in results] == [None] * 30
    assert [result["text"] for result in results] == [f"Echo: number {n}" for n in range(30)]
    statuses = [row.status for row in paced.provider.rows(key)]
    assert statuses.count(200) == 30
    assert len(statuses) <= 33
    rows = [paced.row(result) for result in results]
    assert sum(row["queue_ms"] > 0 for row in rows) >= 20
    assert max(row["queue_ms"] for row in rows) >= 1500
    assert sum(len(row["attempts"]) for row in rows) == len(statuses)


@pytest.mark.parametrize("how", ["timeout of the SDK", "header of ours"])
def test_a_call_whose_turn_would_come_too_late_is_refused_at_once_in_the_providers_shape(
    paced: World, how: str
) -> None:
    key, model = new_key("anthropic"), "claude-slow"
    assert paced.proxied.ask_one(job("messages", key=key, model=model))["error"] is None
    short = {"timeout": 5.0} if how == "timeout of the SDK" else {"headers": {"x-whygate-timeout-ms": "5000"}}
    result = paced.proxied.ask_one(job("messages", "again", key=key, model=model, max_retries=0, **short))
    error = result["error"]
    assert error["kind"] == "RateLimitError"
    assert error["headers"]["x-whygate-cause"] == "proxy.queue_timeout"
    assert error["body"]["type"] == "error"
    assert error["body"]["error"]["type"] == "rate_limit_error"
    assert 30 <= int(error["headers"]["retry-after"]) <= 65
    assert result["seconds"] < 4
    assert len(paced.provider.rows(key)) == 1
    row = paced.row(result)
    assert (row["status"], row["cause"], row["attempts"]) == (429, "proxy.queue_timeout", [])


def test_who_waits_in_vain_hears_why_before_its_own_time_is_up(paced: World) -> None:
    """The official SDK counts its timeout from the same moment as we do: an answer at its end would not be heard."""
    key = new_key()
    long = job("chat", key=key, model="one-at-a-time", headers={"x-simulate-first-byte-ms": "4000"})
    short = job("chat", "second", key=key, model="one-at-a-time", max_retries=0, timeout=2.0)
    for app in (paced.proxied, paced.based):  # it takes seconds to begin
        app.ask_one(job("chat"))
    paced.proxied.send([long])
    paced.gateway.until(lambda: paced.provider.in_flight)
    error = paced.based.ask_one(short)["error"]
    (first,) = paced.proxied.results()
    assert first["error"] is None
    assert error["kind"] == "RateLimitError", error
    assert error["headers"]["x-whygate-cause"] == "proxy.queue_timeout"
    assert "it has waited 1.9 s (configured limit of 1 requests at the same time)" in error["body"]["message"]


async def test_an_app_that_hangs_up_while_it_waits_is_never_sent_on(paced: World) -> None:
    key, body = (
        new_key(),
        json.dumps({"model": "one-at-a-time", "messages": [{"role": "user", "content": "x"}]}).encode(),
    )

    def request(*headers: str) -> bytes:
        lines = ["POST /v1/chat/completions HTTP/1.1", "Host: api.openai.com", f"Authorization: Bearer {key}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def waiting() -> bool:
        return any(row["state"] == "queued" and row["model"] == "one-at-a-time" for row in paced.gateway.flows())

    reader, writer = await lane(paced.gateway)
    writer.write(request("x-simulate-first-byte-ms: 1500"))
    await asyncio.to_thread(GatewayProcess.until, lambda: paced.provider.in_flight)
    _, leaving = await lane(paced.gateway)
    leaving.write(request())
    await asyncio.to_thread(GatewayProcess.until, waiting)
    leaving.transport.abort()
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert head.startswith(b"HTTP/1.1 200")

    def gone() -> bool:
        return any(row["cause"] == "client.disconnected" for row in paced.gateway.flows(model="one-at-a-time"))

    await asyncio.to_thread(GatewayProcess.until, gone)
    row = next(row for row in paced.gateway.flows() if row["cause"] == "client.disconnected")
    assert row["attempts"] == []
    # Whoever comes next is served: the place in the queue was given up.
    result = await asyncio.to_thread(paced.proxied.ask_one, job("chat", key=key, model="one-at-a-time"))
    assert result["error"] is None
    assert len(paced.provider.rows(key)) == 2
