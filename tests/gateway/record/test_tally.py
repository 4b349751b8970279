"""What is counted of the calls of late, and what a look at it gives."""

from pathlib import Path
from typing import Any

from gateway.model.flow import FlowRow
from gateway.record.recorder import Recorder
from gateway.record.row import utc_text
from gateway.record.tally import MINUTES_KEPT, NAMES_MAX, MinuteCount, Tally
from tests.gateway.record.made import EPOCH, HandClock, a_row, until

NOW = EPOCH - EPOCH % 3600 + 1830.0


def _row(ago_seconds: float, cause: str | None = None, fault: str | None = None, **changes: Any) -> FlowRow:
    values: dict[str, Any] = {
        "started_at": utc_text(NOW - ago_seconds),
        "cause": cause,
        "fault": fault,
        "host": "api.openai.com",
        "attempts": ({"n": 1},),
        "ttft_ms": 120.0,
    }
    return a_row(1, **(values | changes))


def _view(*rows: FlowRow, minutes: int = 60, bucket: int = 1) -> dict[str, Any]:
    tally = Tally()
    for row in rows:
        tally.add(row)
    return tally.view(NOW, minutes=minutes, bucket_minutes=bucket)


def test_failures_stand_in_the_minute_in_which_their_calls_began() -> None:
    view = _view(_row(5), _row(10, "quota.exhausted"), _row(61, "quota.exhausted"), _row(70, "network.dns_nxdomain"))
    assert len(view["buckets"]) == 60
    assert view["bucket_seconds"] == 60
    before, last = view["buckets"][-2:]
    assert last == {"at": utc_text(NOW - 30), "calls": 2, "causes": {"quota.exhausted": 1}}
    assert before["causes"] == {"quota.exhausted": 1, "network.dns_nxdomain": 1}
    assert sum(bucket["calls"] for bucket in view["buckets"]) == 4


def test_minutes_are_put_together_and_what_is_older_is_left_out() -> None:
    view = _view(_row(5), _row(25 * 60), _row(7 * 3600), minutes=360, bucket=5)
    assert len(view["buckets"]) == 72
    assert [bucket["calls"] for bucket in view["buckets"] if bucket["calls"]] == [1, 1]
    assert all(int(bucket["at"][14:16]) % 5 == 0 for bucket in view["buckets"])


def test_a_tunnel_is_no_call() -> None:
    view = _view(_row(5, kind="tunnel"))
    assert not any(bucket["calls"] for bucket in view["buckets"])
    assert view["apps"] == []


def test_a_host_is_down_when_its_last_calls_failed_and_not_by_their_apps_fault() -> None:
    ill = {"cause": "provider.server_error", "fault": "provider"}
    own = {"cause": "auth.invalid_key", "fault": "caller"}
    cases: list[tuple[list[dict[str, str]], str]] = [
        ([{}, {}], "ok"),
        ([own, own, own], "ok"),
        ([ill, {}, {}], "trouble"),
        ([ill, ill], "trouble"),
        ([{}, ill, ill, ill], "down"),
        ([ill, ill, ill, {}], "trouble"),
    ]
    for told, state in cases:
        (host,) = _view(*(_row(100 - at, **one) for at, one in enumerate(told)))["hosts"]
        assert host["state"] == state, told
        assert host["failed"] == sum(bool(one) for one in told)


def test_a_host_is_shown_with_its_usual_time_to_first_byte_and_its_last_good_call() -> None:
    (host,) = _view(_row(90, ttft_ms=100.0), _row(80, ttft_ms=300.0), _row(70, "x.y", "network", ttft_ms=None))["hosts"]
    assert (host["host"], host["provider"], host["calls"]) == ("api.openai.com", "openai", 3)
    assert (host["ttft_p50_ms"], host["last_cause"], host["last_good_at"]) == (200.0, "x.y", utc_text(NOW - 80))


def test_an_answer_from_the_cache_tells_nothing_of_the_host() -> None:
    view = _view(_row(5, attempts=()), _row(5, fallback="ollama"))
    assert view["hosts"] == []
    assert view["apps"][0]["calls"] == 2


def test_apps_are_named_by_program_else_by_where_they_call_from() -> None:
    headers = (("user-agent", "OpenAI/Python 3.54.0"),)
    view = _view(
        _row(9, app="python3 app.py (pid 7)", request_headers=headers),
        _row(8, app="python3 app.py (pid 7)", cause="a.b", request_headers=headers),
        _row(7, client="10.0.0.3:4711"),
    )
    assert [(one["app"], one["calls"], one["failed"]) for one in view["apps"]] == [
        ("python3 app.py (pid 7)", 2, 1),
        ("10.0.0.3", 1, 0),
    ]
    assert (view["apps"][0]["agent"], view["apps"][0]["last_cause"]) == ("OpenAI/Python", "a.b")


def test_a_call_by_base_url_counts_for_where_it_went() -> None:
    (host,) = _view(_row(5, host="127.0.0.1", upstream="relay.example:8443"))["hosts"]
    assert host["host"] == "relay.example:8443"


def test_what_was_a_while_ago_is_not_lately() -> None:
    assert _view(_row(1000))["hosts"] == []


def test_it_is_bounded() -> None:
    tally = Tally()
    for number in range(3 * NAMES_MAX):
        tally.add(_row(5, host=f"h{number}", app=f"a{number}"))
    view = tally.view(NOW, minutes=60, bucket_minutes=1)
    assert len(view["hosts"]) == len(view["apps"]) == NAMES_MAX
    assert {host["host"] for host in view["hosts"]} == {f"h{number}" for number in range(2 * NAMES_MAX, 3 * NAMES_MAX)}
    tally.load(MinuteCount(utc_text(NOW - minute * 60)[:16], "", 1) for minute in range(3 * MINUTES_KEPT))
    day = tally.view(NOW, minutes=MINUTES_KEPT, bucket_minutes=20)
    assert sum(bucket["calls"] for bucket in day["buckets"]) >= MINUTES_KEPT - 20
    assert len(tally._minutes) <= MINUTES_KEPT + 60


def test_after_a_restart_the_log_tells_what_was_before(path: Path, clock: HandClock) -> None:
    def counted(recorder: Recorder) -> list[dict[str, Any]]:
        return [bucket for bucket in recorder.overview(minutes=60, bucket_minutes=1)["buckets"] if bucket["calls"]]

    first = Recorder(path, clock)
    first.start()
    at = utc_text(EPOCH)
    for seq, cause in enumerate(("quota.exhausted", None, "quota.exhausted"), 1):
        first.recorded(a_row(seq, started_at=at, cause=cause))
    first.recorded(a_row(9, started_at=at, kind="tunnel"))
    first.recorded(a_row(10, started_at=utc_text(EPOCH - 2 * 86_400), cause="quota.exhausted"))
    until(lambda: first.health()["written"] == 5)
    told = counted(first)
    first.close()
    assert [(one["calls"], one["causes"]) for one in told] == [(3, {"quota.exhausted": 2})]
    again = Recorder(path, clock)
    again.start()
    until(lambda: counted(again))
    assert counted(again) == told
    again.close()
