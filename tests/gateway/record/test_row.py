"""A call becomes a row."""

import gzip
import zlib

import brotli
import pytest

from gateway.excerpt import MAX_BYTES, readable
from gateway.model.call import Mode, Origin
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.flow import State
from gateway.model.rhythm import Rhythm
from gateway.record.row import closed_row, foreign_row, open_row
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

CANARY = "CANARYa1b2c3d4e5f6"


def test_a_running_call_shows_where_it_stands() -> None:
    """State, reason and expected end are those of the moment."""
    row = open_row(a_live(state=State.WAITING, wait_reason="rate limit of the provider", eta_ms=4200, attempts=1))
    assert (row.state, row.wait_reason, row.eta_ms) == ("waiting", "rate limit of the provider", 4200)
    assert (row.ended_at, row.cause, len(row.attempts)) == (None, None, 1)


def test_a_stream_tells_when_its_events_came() -> None:
    call, rhythm = a_call(), Rhythm()
    for at in (0.2, 0.21, 1.3):
        rhythm.beat(call.arrived + at, 1)
    live = a_live(call, rhythm=rhythm)
    told = closed_row(live, a_concluded(call)).events
    assert told is not None
    assert (told["count"], told["bucket_ms"], told["counts"][0], told["counts"][-1]) == (3, 50, 2, 1)
    assert (told["began_ms"], told["gap_at_ms"], told["gap_ms"]) == pytest.approx((200, 210, 1090))
    assert closed_row(a_live(call, rhythm=Rhythm()), a_concluded(call)).events is None


def test_the_program_that_called_stands_in_the_row() -> None:
    call = a_call()
    assert closed_row(a_live(call), a_concluded(call), "node app.js (pid 4)").app == "node app.js (pid 4)"
    assert open_row(a_live(call), "node app.js (pid 4)").app == "node app.js (pid 4)"


def test_a_call_by_base_url_says_where_it_went() -> None:
    call = a_call(mode=Mode.BASE_URL, origin=Origin("http", "127.0.0.1", 80))
    assert (open_row(a_live(call)).host, open_row(a_live(call)).upstream) == ("127.0.0.1", "api.openai.com")
    assert open_row(a_live(a_call())).upstream == ""


def test_a_call_without_a_route_has_a_row_too() -> None:
    """It may be refused before anyone knows what it is."""
    assert open_row(a_live(route=None)).provider == ""


def test_a_row_ends_by_the_monotonic_clock() -> None:
    """The wall clock may jump while a call runs."""
    call = a_call(arrived_at=1_790_000_000.25)
    row = closed_row(a_live(call), a_concluded(call, seconds=61.5))
    assert (row.started_at, row.ended_at) == ("2026-09-21T14:13:20.250Z", "2026-09-21T14:14:21.750Z")


def test_a_good_call_has_no_cause_and_no_body() -> None:
    """Bodies are kept of failures only."""
    call = a_call()
    row = closed_row(a_live(call), a_concluded(call))
    assert (row.state, row.cause, row.fault, row.precision, row.diagnosis, row.body) == ("done", *[None] * 5)
    assert (row.status, row.tokens_in, row.tokens_out, row.endpoint) == (200, 12, 34, "chat.completions")


def test_overhead_is_what_attempts_queue_and_waits_leave() -> None:
    """1,500 ms less 200 queued, 100 waited and two attempts of 400."""
    call = a_call()
    attempts = (an_attempt(1, status=503), an_attempt(2, waited_seconds=0.1))
    row = closed_row(a_live(call), a_concluded(call, attempts=attempts, queued_seconds=0.2, seconds=1.5))
    assert (row.queue_ms, row.overhead_ms, row.total_ms) == (200.0, 400.0, 1500.0)


def test_a_retrys_time_in_the_queue_counts_once() -> None:
    """1,500 ms less 200 queued, half of them within a wait of 300, and two attempts of 400."""
    call = a_call()
    attempts = (
        an_attempt(1, status=503, queued_seconds=0.1),
        an_attempt(2, waited_seconds=0.3, queued_seconds=0.1),
    )
    row = closed_row(a_live(call), a_concluded(call, attempts=attempts, queued_seconds=0.2, seconds=1.5))
    assert (row.queue_ms, row.overhead_ms, row.total_ms) == (200.0, 300.0, 1500.0)
    assert [attempt["queued_ms"] for attempt in row.attempts] == [100.0, 100.0]


def test_a_failed_attempt_says_where_and_how_it_failed() -> None:
    """One entry an attempt, phases in milliseconds."""
    call = a_call()
    broken = NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="alert 40", sent=False)
    row = closed_row(a_live(call), a_concluded(call, attempts=(a_failed_attempt(1, broken),)))
    assert row.attempts[0]["failure"] == {"phase": "tls", "code": "tls_handshake", "detail": "alert 40", "sent": False}
    assert row.attempts[0]["phases"][-1] == {"name": "tls", "start_ms": 4.0, "end_ms": 120.0, "ok": False}


def test_a_failure_carries_its_verdict() -> None:
    """In the words that every face shows."""
    call = a_call()
    row = closed_row(a_live(call), a_concluded(call, diagnosis=a_diagnosis(), outcome=a_failed_outcome()))
    assert (row.cause, row.fault, row.precision) == ("rate_limit.tokens", "caller", "declared")
    assert row.diagnosis is not None
    assert row.diagnosis["what_to_do"] == ["Wait 12 s.", "Ask for a higher tier."]
    assert row.body == '{"error":{"message":"slow down"}}'


def test_unknown_has_no_fault() -> None:
    """Nobody is blamed for what nobody understood."""
    call = a_call()
    row = closed_row(a_live(call), a_concluded(call, diagnosis=a_diagnosis(Cause.UNKNOWN, fault=None)))
    assert (row.cause, row.fault) == ("unknown", None)


def test_no_canary_survives_in_any_field() -> None:
    """The same key in a header, the query, the echoed answer, the evidence and an exception's words."""
    call = a_call(
        target=f"/v1/x?key={CANARY}".encode(),
        headers=(
            (b"authorization", f"Bearer {CANARY}".encode()),
            (b"user-agent", b"x"),
            (b"x-new-key", CANARY.encode()),
        ),
    )
    failure = NetFailure(phase=Phase.SEND, code=NetCode.UNKNOWN, detail=f"cannot use {CANARY}", sent=True)
    concluded = a_concluded(
        call,
        attempts=(a_failed_attempt(1, failure),),
        outcome=a_failed_outcome(f"bad key {CANARY}".encode(), 401, content_type="text/plain"),
        diagnosis=a_diagnosis(what_happened=f"The key {CANARY} is unknown.", evidence=(f"echoed: {CANARY}",)),
    )
    assert CANARY not in str(closed_row(a_live(call), concluded).as_dict())


def test_a_row_of_another_part_is_scrubbed_and_numbered() -> None:
    """Tunnels and WebSockets write their own rows."""
    row = foreign_row(
        a_row(0, path=f"/?token={CANARY}", request_headers=(("Authorization", CANARY), ("User-Agent", "x"))), 7
    )
    assert row.seq == 7
    assert CANARY not in str(row.as_dict())
    assert row.request_headers == (("user-agent", "x"),)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda b: zlib.compress(b)[2:-4]),
        ("br", brotli.compress),
    ],
)
def test_packed_bodies_are_read(encoding: str, pack: object) -> None:
    """However the provider packed its error."""
    assert readable(pack(b"why not"), encoding, None) == "why not"  # type: ignore[operator]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress)])
def test_a_bomb_is_unpacked_to_its_bound_only(encoding: str, pack: object) -> None:
    """Sixteen megabytes in a few kilobytes."""
    text = readable(pack(b"a" * 2**24), encoding, None)  # type: ignore[operator]
    assert text is not None
    assert len(text) <= MAX_BYTES


@pytest.mark.parametrize(
    ("body", "encoding"), [(b"junk", "gzip"), (b"x", "zstd"), (b"\0\1", None), (b"", None), (b"q", "br")]
)
def test_what_cannot_be_read_is_not_kept(body: bytes, encoding: str | None) -> None:
    """Rather nothing than noise."""
    assert readable(body, encoding, None) is None


def test_a_packed_body_that_was_cut_is_read_up_to_the_cut() -> None:
    """Excerpts end anywhere."""
    text = readable(gzip.compress(bytes(range(32, 127)) * 100)[:100], "gzip", None)
    assert text is not None
    assert text.startswith(" !")
