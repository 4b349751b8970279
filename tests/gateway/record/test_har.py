"""Rows become a HAR 1.2 document, which the schema of the format accepts whatever stands in them."""

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.explain.judge import Judge
from gateway.explain.paste import read
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.flow import State
from gateway.record.har import document, url_of
from gateway.record.row import closed_row
from tests.gateway.record.made import (
    a_call,
    a_concluded,
    a_diagnosis,
    a_failed_attempt,
    a_failed_outcome,
    a_live,
    a_row,
    an_attempt,
)

VALID = fastjsonschema.compile(json.loads((Path(__file__).parent / "har_schema.json").read_text()))


def entry_of(row: dict[str, Any]) -> dict[str, Any]:
    """Give the one entry of a document that the schema accepts, as a reader gets it."""
    made = json.loads(orjson.dumps(document([row], "0.1.0")))
    VALID(made)
    check_times(made["log"]["entries"][0])
    entry: dict[str, Any] = made["log"]["entries"][0]
    return entry


def check_times(entry: dict[str, Any]) -> None:
    """What the format asks of times beyond its schema."""
    timings = entry["timings"]
    assert all(value >= 0 or value == -1 for value in timings.values())
    assert all(timings[name] >= 0 for name in ("send", "wait", "receive"))
    assert timings["connect"] >= timings["ssl"]
    total = sum(value for name, value in timings.items() if name != "ssl" and value > 0)
    assert entry["time"] == pytest.approx(total, abs=0.01)


def a_failure(**changes: Any) -> dict[str, Any]:
    call = a_call(headers=((b"user-agent", b"OpenAI/Python 3.54.0"), (b"authorization", b"Bearer sk-canary-123456")))
    values: dict[str, Any] = {
        "diagnosis": a_diagnosis(),
        "outcome": a_failed_outcome(content_type="application/json", x_request_id="req_1"),
        "attempts": (an_attempt(1, status=429), an_attempt(2, status=429, waited_seconds=0.2)),
        "seconds": 2.0,
        "queued_seconds": 0.1,
    }
    return closed_row(a_live(call), a_concluded(call, **(values | changes))).as_dict()


def test_an_entry_has_the_times_of_the_last_attempt_and_all_before_is_blocked() -> None:
    entry = entry_of(a_failure())
    assert entry["time"] == 2000.0
    assert entry["timings"] == {
        "blocked": 1600.0, "dns": 4.0, "connect": 46.0, "ssl": 30.0, "send": 0.0, "wait": 250.0, "receive": 100.0,
    }  # fmt: skip


def test_what_is_ours_stands_under_a_name_of_ours() -> None:
    told = entry_of(a_failure())["_whygate"]
    assert len(told["attempts"]) == 2
    assert (told["cause"], told["fault"], told["key"], told["cache"]) == (
        "rate_limit.tokens",
        "caller",
        "1f2e3d4c",
        "none",
    )
    assert told["diagnosis"]["what_to_do"] == ["Wait 12 s.", "Ask for a higher tier."]


def test_a_failed_answer_has_its_start_and_its_kept_headers_and_no_credential() -> None:
    entry = entry_of(a_failure())
    assert entry["request"]["headers"] == [{"name": "user-agent", "value": "OpenAI/Python 3.54.0"}]
    response = entry["response"]
    assert (response["status"], response["statusText"]) == (429, "Too Many Requests")
    assert {"name": "x-request-id", "value": "req_1"} in response["headers"]
    assert response["content"]["text"] == '{"error":{"message":"slow down"}}'
    assert response["content"]["mimeType"] == "application/json"
    assert "canary" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("method", "request_bytes", "told"), [("POST", 1234, 1234), ("POST", 0, -1), ("GET", 0, 0), ("DELETE", 0, 0)]
)
def test_the_length_of_a_request_is_unknown_where_it_was_not_noted(method: str, request_bytes: int, told: int) -> None:
    """As in rows of an older version. What asks without a body has none."""
    row = a_row(1, method=method, request_bytes=request_bytes).as_dict()
    assert entry_of(row)["request"]["bodySize"] == told


def test_a_call_without_an_answer_has_status_0_and_what_broke_it() -> None:
    broken = NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="alert 40", sent=False)
    entry = entry_of(a_failure(attempts=(a_failed_attempt(1, broken),), outcome=a_concluded(a_call()).answered.outcome))
    assert entry["timings"]["connect"] == entry["timings"]["ssl"] == 116.0
    row = a_row(1, status=None, cause="network.tls_handshake", attempts=({
        "n": 1, "waited_ms": 0.0, "phases": [], "status": None,
        "failure": {"phase": "tls", "code": "tls_handshake", "detail": "alert 40", "sent": False},
    },)).as_dict()  # fmt: skip
    response = entry_of(row)["response"]
    assert (response["status"], response["_error"]) == (0, "tls_handshake: alert 40")


@pytest.mark.parametrize(
    ("kind", "method", "url"),
    [
        ("tunnel", "CONNECT", "https://chatgpt.com:443/"),
        ("websocket", "GET", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("api", "POST", "http://127.0.0.1:9/v1/chat/completions"),
    ],
)
def test_tunnels_and_websockets_have_entries_too(kind: str, method: str, url: str) -> None:
    host, slash, path = url.partition("://")[2].partition("/")
    row = a_row(1, kind=kind, method=method, host=host, path=slash + path if path else "", total_ms=812.5)
    entry = entry_of(row.as_dict())
    assert (entry["request"]["method"], entry["request"]["url"]) == (method, url)
    assert entry["time"] == 812.5


def test_a_hit_of_the_cache_waited_for_us_and_for_nobody_else() -> None:
    entry = entry_of(a_row(1, cache="hit", ttft_ms=1.5, total_ms=4.0, host="api.openai.com").as_dict())
    assert (entry["timings"]["wait"], entry["timings"]["receive"], entry["timings"]["dns"]) == (1.5, 2.5, -1)


def test_a_call_that_is_not_over_is_an_entry_without_an_answer() -> None:
    entry = entry_of(a_row(1, state=State.WAITING, status=None, ended_at=None, queue_ms=80.0).as_dict())
    assert (entry["response"]["status"], entry["time"]) == (0, 80.0)


def test_entries_stand_in_the_order_in_which_the_calls_began() -> None:
    rows = [a_row(2, started_at="2026-09-21T13:33:21.000Z").as_dict(), a_row(1).as_dict()]
    assert [entry["_whygate"]["seq"] for entry in document(rows, "")["log"]["entries"]] == [1, 2]


def test_the_query_is_listed_without_what_was_struck_out() -> None:
    row = a_row(1, host="x.openai.azure.com", path="/openai?api-version=2026-01-01&key=[redacted]").as_dict()
    assert entry_of(row)["request"]["queryString"] == [
        {"name": "api-version", "value": "2026-01-01"}, {"name": "key", "value": "[redacted]"},
    ]  # fmt: skip


def test_a_failure_that_was_exported_explains_to_the_same_cause() -> None:
    """Whoever gets the file sees what we saw."""
    body = b'{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}'
    row = a_failure(outcome=a_failed_outcome(body, content_type="application/json"))
    (seen,) = read(orjson.dumps(document([row], "0.1.0")).decode())
    assert Judge().judge(seen).cause == "quota.exhausted"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
TIMES = st.floats(0, 1e7, allow_nan=False)
PHASES = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from([phase.value for phase in Phase]),
            "start_ms": TIMES,
            "end_ms": TIMES,
            "ok": st.booleans(),
        }
    ),
    max_size=8,
)
ATTEMPTS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.integers(1, 9),
            "waited_ms": TIMES,
            "phases": PHASES,
            "status": st.none() | st.integers(100, 999),
            "failure": st.none() | st.fixed_dictionaries({"code": TEXTS, "detail": TEXTS}),
        }
    ),
    max_size=3,
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "host": TEXTS,
            "path": TEXTS,
            "model": TEXTS,
            "method": TEXTS,
            "body": st.none() | TEXTS,
            "attempts": ATTEMPTS,
            "status": st.none() | st.integers(100, 999),
            "total_ms": st.none() | TIMES,
            "ttft_ms": st.none() | TIMES,
            "queue_ms": TIMES,
            "kind": st.sampled_from(["api", "tunnel", "websocket"]),
            "request_headers": st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
            "response_headers": st.lists(st.tuples(st.just("content-length"), TEXTS), max_size=3),
        }
    )
)
def test_any_row_is_a_valid_entry(changes: dict[str, Any]) -> None:
    row = a_row(1).as_dict() | changes
    entry_of(row)
    assert url_of(row).isascii()
