"""Whole bodies: kept of whom, for how long, how much of them, and never with a credential."""

import gzip
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.model.call import Call
from gateway.record.capture import BODY_BYTES, PENDING_BYTES, SECONDS_MAX, Capture, Captured
from gateway.record.filter import FlowFilter
from gateway.record.query import Reader
from gateway.record.recorder import HEAVY_BODY_BYTES, Recorder
from tests.gateway.record.made import (
    HandClock,
    a_call,
    a_concluded,
    a_diagnosis,
    a_failed_outcome,
    a_live,
    a_provider,
    a_route,
    until,
)

CANARY = "sk-CANARYa1b2c3d4e5f6a7b8c9d0"
HEADERS = ((b"authorization", f"Bearer {CANARY}".encode()), (b"content-type", b"application/json"))


def _end(recorder: Recorder, call: Call, answer: bytes | None = b'{"answer":"yes"}', **changes: Any) -> str:
    live = a_live(call)
    recorder.opened(live)
    concluded = a_concluded(call, **changes)
    outcome = concluded.answered.outcome if "outcome" in changes else replace(concluded.answered.outcome, body=answer)
    recorder.closed(live, replace(concluded, answered=replace(concluded.answered, outcome=outcome)))
    return call.id


def test_nothing_is_kept_unless_somebody_asks(recorder: Recorder) -> None:
    flow_id = _end(recorder, a_call(body=b'{"prompt":"secret thoughts"}'))
    until(lambda: recorder.health()["written"] == 1)
    text = recorder.path.read_bytes() + recorder.path.with_name("flows.db-wal").read_bytes()
    assert b"secret thoughts" not in text
    assert flow_id.encode() in text


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"provider": "openai"}, True),
        ({"provider": "anthropic"}, False),
        ({"endpoint": "chat.completions"}, True),
        ({"endpoint": "embeddings"}, False),
        ({"model": "gpt-5-mini", "provider": "openai"}, True),
        ({"model": "gpt-5", "provider": "openai"}, False),
    ],
)
def test_it_is_for_the_calls_that_were_named(wanted: dict[str, str], fits: bool) -> None:
    capture = Capture(HandClock())
    capture.begin(Captured(**wanted), 60)
    assert capture.wants(a_route(provider=a_provider("openai"))) is fits
    assert not capture.wants(None)


def test_it_ends_by_itself() -> None:
    clock = HandClock()
    capture = Capture(clock)
    assert capture.view() is None
    capture.begin(Captured(), 60)
    clock.seconds = 59.0
    capture.count(kept=True)
    capture.count(kept=False)
    told = {"provider": "", "endpoint": "", "model": "", "left_seconds": 1.0}
    assert capture.view() == {**told, "kept": 1, "missed": 1}
    assert capture.wants(a_route())
    clock.seconds = 60.0
    assert not capture.wants(a_route())
    assert capture.view() is None


def test_it_can_be_ended_at_once() -> None:
    capture = Capture(HandClock())
    capture.begin(Captured(), 60)
    capture.end()
    assert not capture.wants(a_route())
    assert capture.view() is None


@pytest.mark.parametrize("seconds", [0, -1, SECONDS_MAX + 1, math.inf, math.nan])
def test_it_is_never_without_an_end(seconds: float) -> None:
    with pytest.raises(ValueError, match="bodies are kept for"):
        Capture(HandClock()).begin(Captured(), seconds)


def test_both_bodies_stand_in_the_row_without_credentials(recorder: Recorder, clock: HandClock) -> None:
    recorder.capture.begin(Captured(), 60)
    body = orjson.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": f"my key is {CANARY}"}]})
    flow_id = _end(recorder, a_call(body=body, headers=HEADERS), answer=f'{{"said":"{CANARY}"}}'.encode())
    until(lambda: recorder.health()["written"] == 1)
    row = Reader.of(recorder).get(flow_id)
    assert row is not None
    assert row["request_body"].startswith('{"model":"gpt-5-mini"')
    assert row["body"].startswith('{"said":"')
    assert CANARY not in row["request_body"] + row["body"]
    assert row["request_bytes"] == len(body)
    (listed,) = Reader.of(recorder).page(FlowFilter()).flows
    assert (listed["request_body"], listed["body"]) == (None, None)


def test_long_bodies_are_cut(recorder: Recorder) -> None:
    recorder.capture.begin(Captured(), 60)
    body = b'{"x":"' + b"word " * 100_000 + b'"}'
    flow_id = _end(recorder, a_call(body=body, headers=HEADERS), answer=b"answer " * 100_000)
    until(lambda: recorder.health()["written"] == 1)
    row = Reader.of(recorder).get(flow_id)
    assert row is not None
    assert len(row["request_body"]) == len(row["body"]) == BODY_BYTES
    assert row["request_bytes"] == len(body)


def test_packed_answers_are_unpacked(recorder: Recorder) -> None:
    recorder.capture.begin(Captured(), 60)
    packed = a_failed_outcome(status=200, content_encoding="gzip", content_type="application/json")
    outcome = replace(packed, excerpt=b"", body=gzip.compress(b'{"answer":"yes"}'))
    flow_id = _end(recorder, a_call(), outcome=outcome)
    until(lambda: recorder.health()["written"] == 1)
    row = Reader.of(recorder).get(flow_id)
    assert row is not None
    assert row["body"] == '{"answer":"yes"}'


def test_a_failed_answer_is_kept_as_it_always_is(recorder: Recorder) -> None:
    recorder.capture.begin(Captured(), 60)
    flow_id = _end(recorder, a_call(body=b'{"a":1}'), outcome=a_failed_outcome(b"slow down"), diagnosis=a_diagnosis())
    until(lambda: recorder.health()["written"] == 1)
    row = Reader.of(recorder).get(flow_id)
    assert row is not None
    assert (row["body"], row["request_body"]) == ("slow down", '{"a":1}')


def test_a_heavy_request_that_nobody_wants_is_not_held(recorder: Recorder) -> None:
    """Its length is known all the same."""
    body = b"x" * (HEAVY_BODY_BYTES + 1)
    flow_id = _end(recorder, a_call(body=body))
    until(lambda: recorder.health()["written"] == 1)
    row = Reader.of(recorder).get(flow_id)
    assert row is not None
    assert (row["request_bytes"], row["request_body"]) == (len(body), None)


def test_of_a_long_answer_only_what_is_kept_waits_for_the_writer(path: Path, clock: HandClock) -> None:
    """Of the request too, and not its parsed form. The answer's length is still told."""
    recorder = Recorder(path, clock)
    recorder.capture.begin(Captured(), 60)
    call = a_call(body=b"x" * BODY_BYTES)
    concluded = a_concluded(call, route=a_route(document={"a": 1}))
    outcome = replace(concluded.answered.outcome, body=b"y" * 2**22, bytes_out=2**22)
    recorder.closed(a_live(call), replace(concluded, answered=replace(concluded.answered, outcome=outcome)))
    [item] = recorder.ring.finished
    assert item.concluded is not None
    held = item.concluded.answered
    assert (len(held.outcome.body or b""), held.outcome.bytes_out) == (BODY_BYTES, 2**22)
    assert (len(held.admitted.call.body), held.admitted.route.document) == (BODY_BYTES, None)


def test_an_answer_that_nobody_wants_is_not_held(path: Path, clock: HandClock) -> None:
    """One that was meant for the cache, or whose time of being kept ended a moment before."""
    recorder = Recorder(path, clock)
    _end(recorder, a_call(), answer=b"y" * 2**22)
    [item] = recorder.ring.finished
    assert item.concluded is not None
    assert item.concluded.answered.outcome.body is None


def test_bodies_that_wait_for_a_slow_writer_are_bounded(path: Path, clock: HandClock) -> None:
    """A writer that was not begun stands for a slow one. Each call has its row; those beyond have no bodies."""
    recorder = Recorder(path, clock)
    recorder.capture.begin(Captured(), 60)
    ids = [_end(recorder, a_call(), answer=b"y" * 2**20) for _ in range(40)]
    held_bytes = sum(
        len(item.concluded.answered.outcome.body or b"") for item in recorder.ring.finished if item.concluded
    )
    assert PENDING_BYTES - 2 * BODY_BYTES < held_bytes <= PENDING_BYTES
    told = recorder.capture.view()
    assert told is not None
    assert (told["kept"], told["missed"]) == (held_bytes // BODY_BYTES, 40 - held_bytes // BODY_BYTES)
    recorder.start()
    until(lambda: recorder.health()["written"] == 40, seconds=30)
    ids.append(_end(recorder, a_call(), answer=b"y" * 2**20))
    recorder.close()
    rows = [Reader.of(recorder).get(flow_id) for flow_id in ids]
    has_body = [row is not None and row["body"] is not None for row in rows]
    assert has_body == [True] * told["kept"] + [False] * told["missed"] + [True]


def test_a_call_without_a_row_counts_as_missed(recorder: Recorder) -> None:
    recorder.capture.begin(Captured(), 60)
    recorder.close()
    _end(recorder, a_call())
    told = recorder.capture.view()
    assert told is not None
    assert (told["kept"], told["missed"]) == (0, 1)
