"""`whygate cache`, as a person types it: beside a page, and beside nothing but what an earlier gateway left."""

import asyncio
import json
import os
import pty
import subprocess
import sys
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway._discover import discover
from gateway.cache.backend import Backend, Place, Wanted
from gateway.cache.kept import FILE_NAME, write
from gateway.cache.repeats import Repeats
from gateway.cli.cache_lines import dollars, stats_lines, suggestion_lines
from gateway.model.decision import Label, StoredReply
from gateway.state import Runtime, State
from tests.gateway.cache.test_repeats import SYSTEM, see
from tests.gateway.cli.conftest import Whygate
from tests.gateway.record.made import HandClock
from tests.gateway.show.served import TOKEN, Served, serve_page

ROOT = Path(__file__).parents[3]
RULE = (
    f'[[cache.rules]]\nname = "static-gpt-4o"\nprovider = "openai"\nsystem_sha256 = ["{SYSTEM}"]\nttl_seconds = 3600\n'
)


def a_row(**changes: Any) -> dict[str, Any]:
    return {
        "provider": "openai", "endpoint": "chat.completions", "model": "gpt-4o", "rule": "temperature-0",
        "key": "ab12cd34", "entries": 1_200, "size_bytes": 12_000_000,
    } | changes  # fmt: skip


def a_suggestion(**changes: Any) -> dict[str, Any]:
    return {
        "provider": "openai", "endpoint": "chat.completions", "model": "gpt-4o", "system_sha256": SYSTEM, "seen": 37,
        "prompts": 3, "size_bytes": 9_000, "calls": 34, "tokens_in": 12_000, "tokens_out": 300, "usd": 0.0412,
        "varied": False, "rule": RULE,
    } | changes  # fmt: skip


def a_document(**changes: Any) -> dict[str, Any]:
    return {
        "enabled": True, "backend": "sqlite", "degraded": None, "damaged": 0, "entries": 0, "size_bytes": 0,
        "max_bytes": 256_000_000, "disk_bytes": 0, "oldest_seconds": None,
        "results": {"hit": 0, "stored": 0, "collapsed": 0, "stale": 0, "bypass": 0},
        "saved": {"calls": 0, "tokens_in": 0, "tokens_out": 0, "usd": 0.0, "unpriced_calls": 0},
        "contents": [], "rules": [], "suggestions": [],
    } | changes  # fmt: skip


FULL = a_document(
    entries=1_203, size_bytes=12_300_000, disk_bytes=14_100_000, oldest_seconds=7_200.0,
    results={"hit": 30, "stored": 1_203, "collapsed": 6, "stale": 1, "bypass": 0},
    saved={"calls": 37, "tokens_in": 12_000, "tokens_out": 300, "usd": 0.0412, "unpriced_calls": 2},
    contents=[a_row(), a_row(key="", entries=1, size_bytes=100), a_row(model="", endpoint="embeddings", rule="", entries=2, size_bytes=299_900)],
    suggestions=[a_suggestion()],
)  # fmt: skip


def text_of(document: dict[str, Any]) -> list[str]:
    return ["".join(words for words, _ in line) for line in stats_lines(document)]


def suggested(document: dict[str, Any], where: str = "") -> list[str]:
    return ["".join(words for words, _ in line) for line in suggestion_lines(document, where)]


class Running:
    """A page that says where it is, as a gateway does."""

    def __init__(self, state: State, document: dict[str, Any]) -> None:
        self._state, self._document = state, document
        self._page = serve_page(state.flows_db, HandClock())

    def __enter__(self) -> Served:
        served = self._page.__enter__()
        served.cache.clear()
        served.cache.update(self._document)
        page = f"127.0.0.1:{served.port}"
        Runtime(pid=os.getpid(), listen="127.0.0.1:1", page=page, token=TOKEN, started_at="x").write(self._state)
        return served

    def __exit__(self, *problem: object) -> None:
        self._page.__exit__(None, None, None)


def fill(state: State, *labels: tuple[str, str, float]) -> None:
    """Store an answer of each (model, key, age in seconds)."""

    async def put() -> None:
        place = Place(max_bytes=10**8, directory=state.directory, secret=state.fingerprint_key())
        store = discover("gateway.cache.backends", "BACKEND", Backend)["sqlite"].open(place)
        for number, (model, key, age) in enumerate(labels):
            now = time.time() - age
            about = Label(provider="openai", endpoint="chat.completions", model=model, key=key, rule="mine")
            reply = StoredReply(
                status=200, headers=(), body=b"x" * 500, stored_at=now, fresh_until=now + 1e6, kept_until=now + 1e6,
                label=about,
            )  # fmt: skip
            await store.put(bytes([number]) * 32, reply)
        await store.close()

    asyncio.run(put())


def test_stats_say_what_was_saved_and_what_is_stored() -> None:
    assert text_of(FULL) == [
        "Saved since it started: 37 calls, 12,300 tokens, about $0.04 (without 2 calls of unknown price)",
        "  30 calls answered from the cache",
        "  6 calls shared the answer of an equal call under way",
        "  1 call given an old answer while the provider failed",
        "  1,203 calls bought and stored",
        "Stored (sqlite): 1,203 answers, 12.3 MB of at most 256.0 MB, 14.1 MB on the disk, the oldest 2 h old",
        "",
        "openai  embeddings",
        "  2 answers  0.3 MB  of key ab12cd34",
        "",
        "openai gpt-4o  chat.completions",
        "  1,200 answers  12.0 MB  by rule temperature-0, of key ab12cd34",
        "       1 answer   0.1 kB  by rule temperature-0, for every key",
    ]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"enabled": False}, "every call is bought"),
        (a_document(), "whygate cache suggest"),
        (a_document(entries=None, degraded="the disk is full\x1b[31m"), "the disk is full\\e[31m"),
        (a_document(entries=2, damaged=1_000), "1,000 were found damaged"),
    ],
)
def test_stats_say_what_stands_in_the_way(document: dict[str, Any], told: str) -> None:
    assert told in "\n".join(text_of(document))


def test_a_suggestion_is_numbers_and_the_rule_to_copy() -> None:
    assert suggested(a_document(suggestions=[a_suggestion()]), "/home/me/whygate.toml") == [
        "openai gpt-4o  chat.completions, system prompt abababab",
        "  seen 37 times, would have saved 34 calls, 12,300 tokens, about $0.04",
        "  3 different requests of this kind",
        "",
        *RULE.splitlines(),
        "",
        "With a rule, equal requests get the same answer until it is an hour old, whatever the model would say now.",
        "Add the lines that you want to /home/me/whygate.toml, and start the gateway anew",
        "  whygate start",
    ]


def test_what_asks_for_chance_is_marked_and_what_is_not_known_is_not_guessed() -> None:
    one = a_suggestion(varied=True, usd=None, tokens_in=0, tokens_out=0, prompts=1, system_sha256="", calls=1)
    told = "\n".join(suggested(a_document(suggestions=[one])))
    assert "would have saved 1 call, price not known\n" in told
    assert "careful: many of these ask for an answer that differs each time" in told
    assert "the rule takes every request of this kind" in told
    assert "whygate start --config whygate.toml" in told


def test_with_nothing_to_suggest_it_says_what_will_appear_and_when() -> None:
    assert "No request has come three times" in suggested(a_document())[0]
    assert "The cache is off" in suggested({"enabled": False})[0]


@pytest.mark.parametrize("verb", ["stats", "suggest"])
def test_beside_a_gateway_the_page_is_asked_and_no_proxy(whygate: Whygate, verb: str) -> None:
    with Running(whygate.state, FULL):
        shown = whygate("cache", verb, COLUMNS="60", HTTP_PROXY="http://127.0.0.1:9")
        document = json.loads(whygate("cache", verb, "--json", "--lang", "zh").stdout)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\x1b" not in shown.stdout
    assert document == (FULL if verb == "stats" else FULL["suggestions"])


def test_the_rule_is_not_wrapped_however_narrow_the_terminal_is(whygate: Whygate) -> None:
    with Running(whygate.state, FULL):
        lines = whygate("cache", "suggest", "--config", "x.toml", COLUMNS="40").stdout.splitlines()
    begin = lines.index("[[cache.rules]]")
    assert lines[begin : begin + 5] == RULE.splitlines()
    assert all(len(line) <= 40 for line in lines if line not in RULE and "x.toml" not in line)
    assert str(whygate.cwd / "x.toml") in "".join(lines)


def test_beside_a_gateway_it_clears_what_is_meant(whygate: Whygate) -> None:
    with Running(whygate.state, FULL) as served:
        begin = time.time()
        done = whygate("cache", "clear", "--model", "gpt-4o*", "--key", "ab12cd34", "--older-than", "2h")
        assert (done.returncode, done.stdout, done.stderr) == (0, "Cleared 3 stored answers.\n", "")
        assert whygate("cache", "clear", "--yes", "--json").stdout == '{"cleared": 3}\n'
    some, everything = served.cleared
    assert some[:2] == ("gpt-4o*", "ab12cd34")
    assert some.before is not None
    assert begin - 7_200 <= some.before <= time.time() - 7_200
    assert everything == Wanted()


def test_everything_is_cleared_only_if_someone_says_so(whygate: Whygate) -> None:
    with Running(whygate.state, FULL) as served:
        done = whygate("cache", "clear")
    assert (done.returncode, done.stdout) == (2, "")
    assert "whygate cache clear --yes" in done.stderr
    assert served.cleared == []


@pytest.mark.parametrize(("answer", "code", "told"), [("n", 1, "Kept."), ("y", 0, "Cleared 3 stored answers.")])
def test_on_a_terminal_it_asks(whygate: Whygate, answer: str, code: int, told: str) -> None:
    ours, theirs = pty.openpty()
    try:
        with Running(whygate.state, FULL) as served:
            os.write(ours, f"{answer}\n".encode())
            done = subprocess.run(
                whygate.command("cache", "clear"), cwd=whygate.cwd, env=whygate.env, stdin=theirs, capture_output=True,
                text=True, timeout=60, check=False,
            )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, len(served.cleared)) == (code, 1 - code)
    assert "Clear all stored answers?" in done.stdout
    assert told in done.stdout


@pytest.mark.parametrize("age", ["soon", "7", "-1h", "1w", ""])
def test_an_age_that_is_none_clears_nothing(whygate: Whygate, age: str) -> None:
    with Running(whygate.state, FULL) as served:
        done = whygate("cache", "clear", "--older-than", age)
    assert done.returncode == 2
    assert served.cleared == []


def test_a_store_that_cannot_be_used_now_is_said(whygate: Whygate) -> None:
    with Running(whygate.state, a_document(entries=None)):
        done = whygate("cache", "clear", "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing was cleared" in done.stderr


def test_without_a_gateway_the_file_is_looked_at_and_cleared(whygate: Whygate) -> None:
    fill(whygate.state, ("gpt-4o", "ab12cd34", 0.0), ("gpt-4o", "ffff0000", 90_000.0), ("o3", "ab12cd34", 0.0))
    done = whygate("cache", "stats")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Stored (sqlite): 3 answers, ")
    assert "the oldest 25 h old" in done.stdout
    assert "no gateway is running" in done.stderr
    document = json.loads(whygate("cache", "stats", "--json").stdout)
    assert document.keys() == a_document().keys()
    assert {(row["model"], row["key"], row["entries"]) for row in document["contents"]} == {
        ("gpt-4o", "ab12cd34", 1), ("gpt-4o", "ffff0000", 1), ("o3", "ab12cd34", 1),
    }  # fmt: skip
    assert whygate("cache", "clear", "--older-than", "1d").stdout == "Cleared 1 stored answer.\n"
    assert (
        whygate("cache", "clear", "--model", "gpt-*", "--key", "ffff0000").stdout
        == "Nothing that is stored fits that.\n"
    )
    assert whygate("cache", "clear", "--model", "gpt-*").stdout == "Cleared 1 stored answer.\n"
    assert whygate("cache", "clear").returncode == 2
    assert whygate("cache", "clear", "--yes").stdout == "Cleared 1 stored answer.\n"
    assert "Nothing is stored yet." in whygate("cache", "stats").stdout


def test_while_a_gateway_starts_nobody_touches_its_file(whygate: Whygate) -> None:
    fill(whygate.state, ("gpt-4o", "ab12cd34", 0.0))
    with whygate.state.lock():
        done = whygate("cache", "clear", "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert whygate("cache", "clear", "--yes").stdout == "Cleared 1 stored answer.\n"


def test_without_a_gateway_what_earlier_ones_saw_repeat_is_suggested(whygate: Whygate) -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0)
    write(whygate.state.directory / FILE_NAME, repeats.document())
    done = whygate("cache", "suggest")
    assert done.returncode == 0
    assert "seen 3 times, would have saved 2 calls, 220 tokens, less than $0.01" in done.stdout
    assert "no gateway is running" in done.stderr
    (one,) = json.loads(whygate("cache", "suggest", "--json").stdout)
    assert one["rule"] in done.stdout
    assert tomllib.loads(one["rule"])["cache"]["rules"][0]["model"] == "gpt-4o"


@pytest.mark.parametrize("arguments", [("stats",), ("suggest",)])
@pytest.mark.parametrize("content", [None, b"{", b'{"version": 1, "groups": []}'])
def test_without_a_gateway_and_with_nothing_left_it_says_how_to_start_one(
    whygate: Whygate, arguments: tuple[str, ...], content: bytes | None
) -> None:
    if content is not None:
        (whygate.state.directory / FILE_NAME).write_bytes(content)
    done = whygate("cache", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No gateway is running" in done.stderr
    assert "whygate start" in done.stderr


def test_where_nothing_was_ever_stored_there_is_nothing_to_clear(whygate: Whygate, tmp_path: Path) -> None:
    assert whygate("cache", "clear").stdout == "Nothing is stored.\n"
    assert not whygate.state.cache_db.exists()
    assert whygate("cache", "clear", "--state", str(tmp_path / "none")).stdout == "Nothing is stored.\n"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b'{"error": {}}', "of an earlier version"),
        (405, b"", "of an earlier version"),
        (500, b"oops", "refused to answer: status 500"),
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
        done = whygate("cache", "stats")
        server.shutdown()
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("usd", "told"),
    [(0.0, "$0.00"), (0.0007, "less than $0.01"), (0.0412, "$0.04"), (12.345, "$12.35"), (1_234.5, "$1,234")],
)
def test_money_is_said_as_people_say_it(usd: float, told: str) -> None:
    assert dollars(usd) == told


@pytest.mark.parametrize("verb", ["stats", "suggest", "clear"])
def test_every_verb_has_help_with_an_example(whygate: Whygate, verb: str) -> None:
    done = whygate("cache", verb, "--help")
    assert done.returncode == 0
    assert f"Example:  whygate cache {verb}" in done.stdout


def test_it_imports_neither_the_proxy_nor_a_heavy_client() -> None:
    code = (
        "import sys, gateway.cli.cache;"
        "print([name for name in ('mitmproxy', 'aiohttp', 'uvicorn', 'httpx2', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
