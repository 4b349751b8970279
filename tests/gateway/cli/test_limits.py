"""`whygate limits`, as a person types it, with documents that are made up."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.amounts import amount_text, span_text
from gateway.cli.limits import lines_of
from gateway.show.web import no_limits
from gateway.state import Runtime, State
from tests.gateway.cli.conftest import Whygate
from tests.gateway.record.made import HandClock
from tests.gateway.show.served import TOKEN, serve_page

ROOT = Path(__file__).parents[3]


def a_limit(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "requests", "limit": 1200, "window_seconds": 60.0, "burst": 5.0, "source": "headers",
        "remembered": False, "learned_seconds_ago": 12.0, "level": 3.2, "level_ratio": 0.64, "refill_per_second": 20.0,
        "foreign_per_second": 0.0, "enforced": True,
    } | changes  # fmt: skip


def a_user(**changes: Any) -> dict[str, Any]:
    return {
        "tenant": "default", "key": "ab12cd34", "client": "python3 app.py (pid 4242)", "in_flight": 8, "queued": 12,
        "calls": 90,
    } | changes  # fmt: skip


def a_scope(**changes: Any) -> dict[str, Any]:
    return {
        "provider": "openai", "account": "3fa9c1d2", "account_kind": "key", "model": "gpt-4o", "state": "open",
        "paused_ms": None, "pause_reason": None, "limits": [a_limit()], "in_flight": 0, "queued": 0,
        "next_eta_ms": None, "last_eta_ms": None, "demand_per_second": 0.0, "next_429_seconds": None, "users": [],
    } | changes  # fmt: skip


def a_document(*scopes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return no_limits() | {"scopes": list(scopes)} | changes


SEVERAL = a_document(
    a_scope(
        state="waiting",
        limits=[
            a_limit(),
            a_limit(kind="input_tokens", limit=2_000_000, burst=None, level=1_234_567.0, level_ratio=0.1,
                    refill_per_second=33_333.0, source="refusal", learned_seconds_ago=400.0, foreign_per_second=3.1),
            a_limit(kind="concurrency", limit=8, window_seconds=None, burst=None, refill_per_second=None,
                    source="configured", learned_seconds_ago=None, level=0.0, level_ratio=0.0),
        ],
        in_flight=8, queued=12, next_eta_ms=50, last_eta_ms=2_100, demand_per_second=25.0, next_429_seconds=9.0,
        users=[a_user(), a_user(client="127.0.0.1:5000", key="ffff0000", tenant="alice", in_flight=0, queued=0, calls=1)],
    ),
    a_scope(
        provider="anthropic", model="", account_kind="organisation", state="paused", paused_ms=8_000,
        pause_reason="the provider said so\x1b[31m",
        limits=[a_limit(limit=1, window_seconds=1.0, burst=None, refill_per_second=1.0, remembered=True),
                a_limit(limit=10_000, window_seconds=86_400.0, burst=None, refill_per_second=0.1157, enforced=False)],
    ),
    a_scope(provider="groq", model="llama", account="", state="starting", limits=[]),
    waiting=12, waiting_bytes=1_200_000, queue_max=1_000, queue_max_bytes=64_000_000,
)  # fmt: skip


def text_of(document: dict[str, Any], width: int = 80) -> list[str]:
    return ["".join(words for words, _ in line) for line in lines_of(document, width)]


@contextlib.contextmanager
def running(state: State, document: dict[str, Any]) -> Iterator[Runtime]:
    """A page that says where it is, as a gateway does."""
    with serve_page(state.flows_db, HandClock()) as served:
        served.limits.update(document)
        page = f"127.0.0.1:{served.port}"
        runtime = Runtime(pid=os.getpid(), listen="127.0.0.1:1", page=page, token=TOKEN, started_at="x")
        runtime.write(state)
        yield runtime


def test_a_scope_is_one_heading_and_a_line_for_each_thing_known() -> None:
    assert text_of(SEVERAL) == [
        "openai gpt-4o  key 3fa9c1d2",
        "  requests      1,200 a minute (20/s), burst 5        3.2 left ▏█████▏  ▕",
        "                learned from headers 12 s ago",
        "  input tokens  2,000,000 a minute (33,333/s)   1,234,567 left ▏▊       ▕",
        "                learned from a refusal 7 min ago, others use 3.1/s of it",
        "  concurrency   8 at once                               0 left ▏        ▕",
        "                configured",
        "  8 under way, waiting 12: next in 50 ms, last in 2.1 s",
        "  next 429 in about 9 s, if calls go on coming at 25/s",
        "  used by python3 app.py (pid 4242), key ab12cd34: 8 under way, 12 waiting",
        "  used by 127.0.0.1:5000, tenant alice, key ffff0000: 1 call so far",
        "",
        "anthropic  organisation 3fa9c1d2",
        "  requests  1 a second             3.2 left ▏█████▏  ▕",
        "            learned from headers 12 s ago, remembered from an earlier run",
        "  requests  10,000 a day (0.12/s)  3.2 left ▏█████▏  ▕",
        "            learned from headers 12 s ago, not enforced",
        "  paused for 8 s: the provider said so\\e[31m",
        "",
        "groq llama",
        "  no limit is known yet, so calls go out slowly until an answer states one",
        "",
        "Waiting in all: 12 of at most 1,000 calls, 1.2 MB of 64.0 MB",
    ]


def test_at_80_columns_no_line_is_cut_or_wrapped(whygate: Whygate) -> None:
    with running(whygate.state, SEVERAL):
        done = whygate("limits", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == text_of(SEVERAL)
    assert "\x1b" not in done.stdout


def test_where_a_limit_comes_from_stands_beside_it_if_all_of_them_fit() -> None:
    told = text_of(a_document(a_scope(limits=[a_limit(), a_limit(kind="tokens", level=None, level_ratio=None)])), 110)
    assert told[1:] == [
        "  requests  1,200 a minute (20/s), burst 5  3.2 left ▏█████▏  ▕  learned from headers 12 s ago",
        "  tokens    1,200 a minute (20/s), burst 5            learned from headers 12 s ago",
    ]


def test_what_is_too_long_for_a_line_goes_on_below_its_beginning(whygate: Whygate) -> None:
    reason = "the provider said that " + "all of it is used up " * 5
    with running(whygate.state, a_document(a_scope(paused_ms=1, pause_reason=reason))):
        lines = whygate("limits", COLUMNS="60").stdout.splitlines()
    assert len(lines) > 4
    assert all(line.startswith("  ") and len(line) <= 60 for line in lines[1:])


def test_in_shadow_mode_it_says_that_nothing_is_enforced() -> None:
    told = text_of(a_document(a_scope(), shadow=True))
    assert "nothing is enforced" in told[0]
    assert told[1:3] == ["", "openai gpt-4o  key 3fa9c1d2"]
    assert "nothing is enforced" in text_of(a_document(shadow=True))[0]


def test_before_anything_is_learned_it_says_what_will_appear_and_when(whygate: Whygate) -> None:
    with running(whygate.state, no_limits()):
        done = whygate("limits")
    assert done.returncode == 0
    assert done.stdout.startswith("No limit is known yet. Each appears here with the first answer of its provider")


def test_of_many_users_some_are_shown_and_the_others_counted() -> None:
    told = text_of(a_document(a_scope(users=[a_user() for _ in range(40)])))
    assert told[-1] == "  and 28 more"
    assert told.count("  used by python3 app.py (pid 4242): 8 under way, 12 waiting") == 12


@pytest.mark.parametrize("document", [a_document(a_scope()), SEVERAL, no_limits()])
def test_json_is_the_document_of_the_page(whygate: Whygate, document: dict[str, Any]) -> None:
    """Never asked through a proxy."""
    with running(whygate.state, document):
        done = whygate("limits", "--json", "--lang", "zh", HTTP_PROXY="http://127.0.0.1:9")
    assert (json.loads(done.stdout), done.stderr) == (document, "")


KEPT = {"provider": "openai", "account": "3fa9c1d2", "account_kind": "key", "model": "gpt-4o",
        "limits": [{"kind": "requests", "limit": 1200, "window_seconds": 60.0, "burst": 5.0, "source": "headers"},
                   {"kind": "concurrency", "limit": 8, "window_seconds": None, "burst": None, "source": "observed"}]}  # fmt: skip


def test_without_a_gateway_what_an_earlier_one_learned_is_shown(whygate: Whygate) -> None:
    """A stale runtime file does not matter."""
    with running(whygate.state, no_limits()):
        pass
    whygate.state.limits_json.write_text(json.dumps({"version": 1, "saved": {"at": 1}, "scopes": [KEPT]}))
    done = whygate("limits", COLUMNS="80")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "openai gpt-4o  key 3fa9c1d2",
        "  requests     1,200 a minute, burst 5",
        "               learned from headers, remembered from an earlier run",
        "  concurrency  8 at once",
        "               observed in traffic, remembered from an earlier run",
    ]
    assert "no gateway is running" in done.stderr
    assert "whygate start" in done.stderr
    kept = json.loads(whygate("limits", "--json").stdout)
    assert kept.keys() == no_limits().keys()
    assert kept["scopes"][0].keys() == a_scope().keys()
    assert kept["scopes"][0]["limits"][0].keys() == a_limit().keys()


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "[" * 100_000,
        "null",
        "{}",
        '{"version": 2, "scopes": [{"limits": [{"kind": "requests", "limit": 1}]}]}',
        '{"version": 1, "scopes": {}}',
        '{"version": 1, "scopes": [1]}',
        '{"version": 1, "scopes": [{"provider": "openai", "limits": 7}]}',
        '{"version": 1, "scopes": [{"provider": "openai", "limits": [{"kind": "requests", "limit": "many"}]}]}',
        '{"version": 1, "scopes": [{"provider": "openai", "limits": []}]}',
        "\udcff",
    ],
)
def test_without_a_gateway_and_with_nothing_to_read_it_says_how_to_start_one(
    whygate: Whygate, content: str | None
) -> None:
    if content is not None:
        whygate.state.limits_json.write_bytes(content.encode("utf-8", "surrogateescape"))
    done = whygate("limits")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No gateway is running" in done.stderr
    assert "whygate start" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_others_may_write_is_not_believed(whygate: Whygate) -> None:
    whygate.state.limits_json.write_text(json.dumps({"version": 1, "scopes": [KEPT]}))
    whygate.state.limits_json.chmod(0o666)
    assert "No gateway is running" in whygate("limits").stderr


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b'{"error": {}}', "of an earlier version"),
        (500, b"oops", "refused to answer: status 500"),
        (401, b"{}", "refused to answer: status 401"),
        (200, b"<html>", "refused to answer"),
        (200, b"[]", "refused to answer"),
        (None, b"", "stopped answering"),
    ],
)
def test_a_gateway_that_does_not_tell_is_one_screen_and_exit_code_2(
    whygate: Whygate, status: int | None, body: bytes, told: str
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status is not None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = f"127.0.0.1:{server.server_port}"
        Runtime(pid=os.getpid(), listen="127.0.0.1:1", page=page, token=TOKEN, started_at="x").write(whygate.state)
        done = whygate("limits")
        server.shutdown()
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "  do     " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 ms"), (0.05, "50 ms"), (1, "1 s"), (2.1, "2.1 s"), (12.4, "12 s"), (89, "89 s"), (300, "5 min"),
     (7_200, "2 h"), (200_000, "2 days")],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds: float, told: str) -> None:
    assert span_text(seconds) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (0.12, "0.12"),
        (3.2, "3.2"),
        (5.0, "5"),
        (20, "20"),
        (100, "100"),
        (1200, "1,200"),
        (33_333.3, "33,333"),
    ],
)
def test_numbers_are_said_as_people_say_them(value: float, told: str) -> None:
    assert amount_text(value) == told


def test_it_imports_neither_the_proxy_nor_a_heavy_client() -> None:
    code = (
        "import sys, gateway.cli.limits;"
        "print([name for name in ('mitmproxy', 'aiohttp', 'uvicorn', 'httpx2', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
