"""An upgrade is asked for like a call, fails like one, and never keeps an app waiting."""

import asyncio
from typing import Any

import orjson
import pytest

from gateway import upgrade as module
from gateway.egress.connector import Stream
from gateway.egress.send import TruncatedError
from gateway.model.call import Call, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.failure import Phase
from gateway.stages import Stages
from gateway.upgrade import Declined, Switched, upgrade
from tests.gateway.driver import until
from tests.gateway.factories import Answer, ScriptedIncoming, ScriptedUpstream, a_call, error_answer, stages

ASKED = (
    (b"host", b"api.openai.com"),
    (b"authorization", b"Bearer sk-test"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-extensions", b"permessage-deflate"),
    (b"proxy-authorization", b"Basic eA=="),
    (b"x-whygate-cache", b"no-cache"),
)
SWITCHED = Answer(
    status=101,
    headers=(
        (b"upgrade", b"WebSocket"), (b"connection", b"upgrade, x-private"), (b"x-private", b"1"),
        (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), (b"sec-websocket-extensions", b"permessage-deflate"),
        (b"x-whygate-cause", b"forged"),
    ),
    sized=False,
)  # fmt: skip
STREAM: Any = Stream(transport=object(), early=b"\x81\x00")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _detachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedIncoming, "detach", lambda _self: STREAM, raising=False)


def a_try(**changes: Any) -> Call:
    return a_call(
        **({"method": "GET", "target": b"/v1/realtime?model=gpt-realtime", "headers": ASKED, "body": b""} | changes)
    )


async def declined(made: Stages, call: Call | None = None) -> Declined:
    found = await asyncio.wait_for(upgrade(made, call or a_try()), 5)
    assert isinstance(found, Declined)
    assert dict(found.headers)[b"content-length"] == b"%d" % len(found.body)
    return found


def upstream_of(made: Stages) -> ScriptedUpstream:
    assert isinstance(made.upstream, ScriptedUpstream)
    return made.upstream


async def test_a_switch_is_given_on_with_what_makes_it_one() -> None:
    made = stages(SWITCHED)
    found = await upgrade(made, a_try())
    assert isinstance(found, Switched)
    assert found.stream is STREAM
    assert found.headers == (
        (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        (b"sec-websocket-extensions", b"permessage-deflate"),
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
    )
    assert (found.route.endpoint.name, found.route.model) == ("realtime", "gpt-realtime")
    (asked,) = upstream_of(made).asked
    assert asked.upgrade
    assert asked.headers == (*ASKED[:2], *ASKED[4:7], (b"connection", b"Upgrade"), (b"upgrade", b"websocket"))


async def test_an_upgrade_that_is_never_answered_ends_before_apps_lose_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert module.UPGRADE_SECONDS <= 10
    monkeypatch.setattr(module, "UPGRADE_SECONDS", 0.02)
    found = await declined(stages(asyncio.Event()))
    assert found.status == 504
    assert dict(found.headers)[b"proxy-status"] == b"whygate; error=http_upgrade_failed"
    error = orjson.loads(found.body)["error"]
    assert error["code"] == found.diagnosis.cause.value == dict(found.headers)[b"x-whygate-cause"].decode()
    assert found.diagnosis.cause is Cause.NETWORK_WEBSOCKET_BLOCKED
    assert "WebSocket" in error["message"]


async def test_a_connection_that_is_never_made_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPGRADE_SECONDS", 0.02)
    made = stages(asyncio.Event())
    upstream_of(made).phase = Phase.CONNECT
    found = await declined(made)
    assert (found.status, found.diagnosis.cause) == (504, Cause.NETWORK_TCP_TIMEOUT)


async def test_a_reset_in_answer_to_the_upgrade_blames_the_way_and_not_the_call() -> None:
    found = await declined(stages(ConnectionResetError()))
    assert dict(found.headers)[b"proxy-status"] == b"whygate; error=http_upgrade_failed"
    assert "WebSocket" in found.diagnosis.sentence()


async def test_a_refusal_keeps_status_body_and_headers() -> None:
    answer = error_answer(
        401, "invalid_api_key", "Incorrect API key", (b"x-request-id", b"req_1"), (b"connection", b"keep-alive")
    )
    found = await declined(stages(answer))
    assert (found.status, found.body) == (401, answer.pieces[0])
    headers = dict(found.headers)
    assert (headers[b"x-request-id"], headers[b"x-whygate-cause"]) == (b"req_1", b"auth.invalid_key")
    assert b"connection" not in headers
    assert found.diagnosis.cause is Cause.AUTH_INVALID_KEY
    assert answer.aborted


@pytest.mark.parametrize("rest", [asyncio.Event(), TruncatedError()], ids=["late", "cut"])
async def test_a_refusal_whose_body_does_not_come_keeps_its_status(
    monkeypatch: pytest.MonkeyPatch, rest: asyncio.Event | Exception
) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0.02)
    answer = Answer(status=503, pieces=(b'{"error"', rest), sized=False)
    found = await declined(stages(answer))
    assert (found.status, found.body) == (503, b"")
    assert answer.aborted


async def test_an_ordinary_answer_to_an_upgrade_passes_too() -> None:
    """Some providers answer 200 or 426 at a path that knows no WebSockets."""
    found = await declined(stages(Answer(status=426, pieces=(b"use http",))))
    assert (found.status, found.body) == (426, b"use http")


async def test_an_app_that_leaves_cancels_what_was_asked() -> None:
    made = stages(asyncio.Event())
    task = asyncio.ensure_future(upgrade(made, a_try()))
    await until(lambda: upstream_of(made).asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"target": b"/opnai/v1/realtime"}, 404, Cause.REQUEST_INVALID_URL),
        (
            {"headers": ((b"host", b"localhost"), (b"origin", b"https://evil.test"))},
            403,
            Cause.PROXY_DESTINATION_BLOCKED,
        ),
        ({"headers": ((b"host", b"evil.test"),)}, 403, Cause.PROXY_DESTINATION_BLOCKED),
        ({"headers": ((b"host", b"localhost"), (b"x-whygate-hop", b"this-gateway"))}, 508, Cause.PROXY_LOOP_DETECTED),
    ],
)
async def test_what_must_not_be_served_is_refused_without_asking(
    changes: dict[str, Any], status: int, cause: Cause
) -> None:
    made = stages()
    usual: dict[str, Any] = {
        "mode": Mode.BASE_URL, "origin": Origin("http", "localhost", 80), "target": b"/openai/v1/realtime?model=m",
        "headers": ((b"host", b"localhost:8080"),),
    }  # fmt: skip
    found = await declined(made, a_try(**(usual | changes)))
    assert (found.status, found.diagnosis.cause) == (status, cause)
    assert upstream_of(made).asked == []
