"""WebSockets: refused and broken as HTTP is, and with events as their messages."""

import hashlib
import ssl
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
import trustme

from gateway.simulate import build, serve
from gateway.simulate.provider import key_hash_of
from tests.gateway.simulate.websocket import BEARER, SocketClient
from tests.gateway.simulate.world import KEY, HandClock, Start, World

REALTIME = "/v1/realtime?model=gpt-realtime"
RESPONSES = "/v1/responses"


async def ask(client: SocketClient, text: str = "one two", model: str = "gpt-5") -> list[dict[str, Any]]:
    """Ask the Responses API over its WebSocket, and return the events up to the last."""
    await client.say("response.create", model=model, input=text)
    return await client.hear(until="response.completed")


def texts(events: list[dict[str, Any]]) -> str:
    """Return the text of the deltas."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


async def settled(world: World) -> list[tuple[str, int | None, bool]]:
    """Wait until all is over, and return method, status and billability of the ledger's rows."""
    await world.simulator.ledger.settled()
    return [(row.method, row.status, row.billable) for row in world.simulator.ledger.rows]


async def test_a_realtime_session_begins_changes_and_answers(start: Start) -> None:
    """The session greets, takes new settings, remembers what was said, and answers it piece by piece."""
    world = await start()
    client = await SocketClient.open(world, REALTIME)
    (created,) = await client.hear(until="session.created")
    assert created["session"]["model"] == "gpt-realtime"
    await client.say("session.update", session={"instructions": "be brief"})
    (updated,) = await client.hear(until="session.updated")
    assert updated["session"]["instructions"] == "be brief"
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one two"}]}
    await client.say("conversation.item.create", item=item)
    assert [event["type"] for event in await client.hear(until="conversation.item.done")] == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    await client.say("response.create")
    events = await client.hear(until="response.done")
    assert events[0]["type"] == "response.created"
    assert texts(events) == "Echo: one two"
    assert events[-1]["response"]["status"] == "completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Echo: one two"
    client.leave()
    assert await settled(world) == [("WEBSOCKET", 200, True), ("GET", 101, False)]


async def test_the_responses_socket_sends_the_events_of_the_stream(start: Start) -> None:
    """Each event is one message, the same as over HTTP; a socket serves one request after the other."""
    world = await start()
    client = await SocketClient.open(world, RESPONSES)
    first, second = await ask(client), await ask(client, "three")
    http = await (await world.http()).post("/v1/responses", json={"model": "gpt-5", "input": "one two", "stream": True})
    streamed = [orjson.loads(line[6:]) for line in http.text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in first] == [event["type"] for event in streamed]
    assert [event["sequence_number"] for event in first] == list(range(len(first)))
    assert (texts(first), texts(second)) == ("Echo: one two", "Echo: three")
    client.leave()
    rows = await settled(world)
    assert rows.count(("WEBSOCKET", 200, True)) == 2
    assert rows[-1] == ("GET", 101, False)


async def test_a_row_of_a_request_says_what_was_asked_and_sent(start: Start) -> None:
    """The key is the upgrade's, the body is the message, the model is the message's."""
    world = await start()
    client = await SocketClient.open(world, RESPONSES)
    events = await ask(client)
    client.leave()
    await world.simulator.ledger.settled()
    row, upgrade = world.simulator.ledger.rows
    message = orjson.dumps({"type": "response.create", "model": "gpt-5", "input": "one two"})
    assert row.body_sha256 == hashlib.sha256(message).hexdigest()
    assert (row.key_hash, row.model, row.path) == (key_hash_of(KEY), "gpt-5", RESPONSES)
    assert row.response_bytes == sum(len(orjson.dumps(event)) for event in events)
    assert (upgrade.number, row.number, upgrade.aborted_by_client, row.aborted_by_client) == (1, 2, False, False)


@pytest.mark.parametrize(
    "target", ["/openai/realtime?api-version=2025-04-01&deployment=d", "/openai/v1/realtime?model=d"]
)
async def test_azure_has_its_own_paths(start: Start, target: str) -> None:
    """With its own key header it greets like OpenAI's, under the deployment's name."""
    client = await SocketClient.open(await start(), target, {"api-key": KEY})
    (created,) = await client.hear(until="session.created")
    assert (client.status, created["session"]["model"]) == (101, "d")
    assert "apim-request-id" in client.headers
    client.leave()


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        (REALTIME, {}, 401, None),
        (RESPONSES, {"authorization": "Bearer sk-bad"}, 401, "invalid_api_key"),
        ("/v1/realtime", BEARER, 400, "missing_required_parameter"),
        ("/v1/realtime?model=no-such-model", BEARER, 404, "model_not_found"),
        ("/v1/nothing", BEARER, 404, None),
        ("/v1/chat/completions", BEARER, 405, "method_not_supported"),
        ("/openai/realtime?deployment=d", {"api-key": KEY}, 404, "404"),
        ("/openai/realtime?api-version=1&deployment=d", {}, 401, "401"),
    ],
)
async def test_a_wrong_upgrade_is_refused_with_the_providers_error(
    start: Start, target: str, headers: dict[str, str], status: int, code: str | None
) -> None:
    """The refusal is an ordinary response with the JSON that a call would have got."""
    world = await start()
    client = await SocketClient.open(world, target, headers)
    assert (client.status, orjson.loads(client.body)["error"]["code"]) == (status, code)
    assert await settled(world) == [("GET", status, False)]


async def test_a_key_in_the_subprotocol_is_a_key(start: Start) -> None:
    """Browsers cannot set headers; the subprotocol without the key is the one that is chosen."""
    world = await start()
    client = await SocketClient.open(world, REALTIME, {}, ("realtime", f"openai-insecure-api-key.{KEY}"))
    assert (client.status, client.subprotocol) == (101, "realtime")
    client.leave()
    await settled(world)
    assert world.simulator.ledger.rows[0].key_hash == key_hash_of(KEY)


@pytest.mark.parametrize("target", ["/v1/realtime?model=simulate:quota.exhausted", REALTIME, RESPONSES])
async def test_a_declared_failure_refuses_the_upgrade(start: Start, target: str) -> None:
    """Asked for by the model in the query or by the header, it is answered as over HTTP; ``times`` ends it."""
    world = await start()
    headers = BEARER if "simulate" in target else {**BEARER, "x-simulate": "quota.exhausted?times=1"}
    client = await SocketClient.open(world, target, headers)
    assert (client.status, orjson.loads(client.body)["error"]["code"]) == (429, "insufficient_quota")
    if headers is not BEARER:
        again = await SocketClient.open(world, target, headers)
        assert again.status == 101
        again.leave()


async def test_a_page_refuses_an_upgrade_as_well(start: Start) -> None:
    """What an edge answers is not JSON."""
    client = await SocketClient.open(await start(), REALTIME, {**BEARER, "x-simulate": "edge.blocked"})
    assert (client.status, client.headers["content-type"]) == (403, "text/html; charset=UTF-8")
    assert b"you have been blocked" in client.body


@pytest.mark.parametrize(
    ("simulate", "end"),
    [
        ("network.connection_reset", "rst"),
        ("network.connection_reset?behaviour=close_before_head", "fin"),
        ("network.read_timeout?seconds=0.05", "fin"),
        ("service.protocol_error", "malformed"),
    ],
)
async def test_an_upgrade_may_never_be_answered(start: Start, simulate: str, end: str) -> None:
    """The connection ends before anything was said."""
    world = await start()
    client = await SocketClient.open(world, REALTIME, {**BEARER, "x-simulate": simulate})
    assert (client.status, client.end) == (None, end)
    assert await settled(world) == [("GET", None, False)]


async def test_a_late_upgrade_is_a_good_upgrade(start: Start) -> None:
    """A slow first byte delays it and changes nothing."""
    client = await SocketClient.open(
        await start(), RESPONSES, {**BEARER, "x-simulate": "client.timeout_too_short?seconds=0.05"}
    )
    assert client.status == 101
    assert texts(await ask(client)) == "Echo: one two"


@pytest.mark.parametrize(
    ("simulate", "end"),
    [
        ("service.stream_truncated?after_events=2", 1011),
        ("network.stream_interrupted?after_events=2", "fin"),
        ("network.connection_reset?after_events=2", "rst"),
        ("service.stream_stalled?after_events=2&seconds=0.05", "fin"),
    ],
)
@pytest.mark.parametrize("target", [REALTIME, RESPONSES])
async def test_a_conversation_breaks_after_some_events(
    start: Start, target: str, simulate: str, end: int | str
) -> None:
    """The upgrade succeeds; the answer ends in the middle: with 1011, with FIN, with RST or in silence."""
    world = await start()
    client = await SocketClient.open(world, target, {**BEARER, "x-simulate": simulate, "x-simulate-events": "5"})
    await client.say("response.create", model="gpt-5", input="one")
    events = await client.hear()
    assert [event["type"] for event in events].count("response.output_text.delta") == 2
    assert client.end == end
    assert await settled(world) == [("WEBSOCKET", 200, True), ("GET", 101, False)]


async def test_an_error_comes_as_each_apis_event(start: Start) -> None:
    """In the middle of an answer: an error event of the stream, and a response that failed."""
    world = await start()
    headers = {**BEARER, "x-simulate": "service.stream_error?after_events=1"}
    client = await SocketClient.open(world, RESPONSES, headers)
    await client.say("response.create", model="gpt-5", input="one two")
    error = (await client.hear(until="error"))[-1]
    assert error["error"]["code"] == "server_error"
    client = await SocketClient.open(world, REALTIME, headers)
    await client.say("response.create")
    done = (await client.hear(until="response.done"))[-1]["response"]
    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "server_error")


async def test_a_model_in_a_message_asks_for_a_failure_of_that_request(start: Start) -> None:
    """The connection lives on after an error, but not after what cannot be told as one."""
    world = await start()
    client = await SocketClient.open(world, RESPONSES)
    await client.say("response.create", model="simulate:quota.exhausted", input="x")
    (error,) = await client.hear(until="error")
    assert (error["status"], error["error"]["code"]) == (429, "insufficient_quota")
    assert texts(await ask(client)) == "Echo: one two"
    await client.say("response.create", model="simulate:edge.blocked", input="x")
    assert (await client.hear(), client.end) == ([], 1011)
    assert [row.status for row in world.simulator.ledger.rows][:3] == [429, 200, 403]


async def test_limits_hold_inside_a_socket(start: Start, clock: HandClock) -> None:
    """Requests of a key are counted whichever way they come; the upgrade costs nothing."""
    world = await start(requests_per_minute=1, clock=clock)
    client = await SocketClient.open(world, RESPONSES)
    assert texts(await ask(client)) == "Echo: one two"
    await client.say("response.create", model="gpt-5", input="one two")
    (error,) = await client.hear(until="error")
    assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")
    assert error["error"]["headers"]["retry-after"] == "60"
    clock.advance(60)
    assert texts(await ask(client)) == "Echo: one two"
    realtime = await SocketClient.open(world, REALTIME)
    await realtime.say("response.create")
    done = (await realtime.hear(until="response.done"))[-1]["response"]
    assert done["status_details"]["error"]["code"] == "rate_limit_exceeded"


async def test_every_nth_request_fails_by_schedule(start: Start) -> None:
    """Requests in a socket take part in the schedule."""
    client = await SocketClient.open(await start(fail_every=2), RESPONSES)
    assert texts(await ask(client)) == "Echo: one two"
    await client.say("response.create", model="gpt-5", input="x")
    assert (await client.hear(until="error"))[-1]["status"] == 503


@pytest.mark.parametrize("target", [REALTIME, RESPONSES])
async def test_what_is_no_event_is_told_and_the_connection_stays(start: Start, target: str) -> None:
    """An unknown type and a message without what is required are errors of that message alone."""
    client = await SocketClient.open(await start(), target)
    await client.say("response.dance")
    assert (await client.hear(until="error"))[-1]["error"]["type"] == "invalid_request_error"
    await client.say("response.create", input="no model", model="")
    last = (await client.hear(until="error" if target == RESPONSES else "response.done"))[-1]
    assert ("error" in last) == (target == RESPONSES)


async def test_a_client_that_leaves_in_the_middle_is_noticed(start: Start) -> None:
    """The request's row says so, although its next event is a minute away."""
    world = await start()
    client = await SocketClient.open(world, RESPONSES, {**BEARER, "x-simulate-interval-ms": "60000"})
    await client.say("response.create", model="gpt-5", input="one two three")
    await client.hear(until="response.output_text.delta")
    client.leave()
    await world.simulator.ledger.settled()
    row, upgrade = world.simulator.ledger.rows
    assert (row.status, row.billable, row.aborted_by_client) == (200, True, True)
    assert (upgrade.status, upgrade.aborted_by_client) == (101, False)


async def test_stopping_ends_an_open_socket(start: Start) -> None:
    """A listener does not wait for a conversation that nobody ends."""
    world = await start()
    client = await SocketClient.open(world, REALTIME)
    await client.hear(until="session.created")
    await world.handle.stop()
    await client.hear()
    assert client.end in {"fin", "rst"}
    assert world.simulator.ledger.in_flight == 0


async def test_over_tls_sockets_answer_and_break_as_well() -> None:
    """The same conversation and the same reset, behind a certificate."""
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    simulator = build()
    with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as pem:
        handle = await serve(simulator, ssl_certfile=pem)
    async with AsyncExitStack() as stack:
        world = World(simulator, await stack.enter_async_context(handle), stack)
        client = await SocketClient.open(world, RESPONSES, tls=context)
        assert texts(await ask(client)) == "Echo: one two"
        client.leave()
        broken = {**BEARER, "x-simulate": "network.connection_reset?after_events=1"}
        client = await SocketClient.open(world, RESPONSES, broken, tls=context)
        await client.say("response.create", model="gpt-5", input="one two")
        assert texts(await client.hear()) == "Echo: "
        assert await settled(world) == [
            ("WEBSOCKET", 200, True),
            ("GET", 101, False),
            ("WEBSOCKET", 200, True),
            ("GET", 101, False),
        ]


async def test_a_misuse_refuses_the_upgrade(start: Start) -> None:
    """A mistyped failure is never taken for a good call."""
    client = await SocketClient.open(await start(), REALTIME, {**BEARER, "x-simulate": "nothing"})
    assert (client.status, orjson.loads(client.body)["error"]["code"]) == (400, "simulate_misuse")
