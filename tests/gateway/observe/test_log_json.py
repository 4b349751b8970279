"""Each line is one JSON object, holds no secret, and whoever reads slowly slows nobody."""

import json
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.observe import log_json
from gateway.observe.ended import of_call
from gateway.observe.log_json import JsonHandler, Lines, Teller, log_call, speaking_json
from tests.gateway.record.made import a_call, a_concluded, a_diagnosis, a_live, a_route

SECRET = "sk-proj-abcdefghijklmnop0123456789"


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def said(speak: Any) -> list[dict[str, Any]]:
    """Give the lines that are said in the course of a function."""
    with pipe() as (reading, writing):
        with speaking_json(writing) as teller:
            speak(teller)
        os.write(writing, b"\n")  # so that there is something to read
        return [json.loads(line) for line in os.read(reading, 2**20).splitlines() if line]


def test_a_finished_call_is_one_line_with_its_figures() -> None:
    call = a_call()
    route = a_route(tenant="red", model=SECRET)
    ended = of_call(
        a_live(call), a_concluded(call, route=route, diagnosis=a_diagnosis(), seconds=0.5, queued_seconds=0.1)
    )
    (line,) = said(lambda _: log_call(ended))
    assert (line["event"], line["level"], line["flow"]) == ("call", "warning", call.id)
    assert (line["tenant"], line["provider"], line["status"]) == ("red", "openai", 200)
    assert (line["cause"], line["fault"], line["attempts"]) == ("rate_limit.tokens", "caller", 1)
    assert (line["total_ms"], line["queue_ms"]) == (500.0, 100.0)
    assert SECRET not in json.dumps(line)
    assert line["time"].endswith("Z")


def test_warnings_errors_and_what_python_itself_says_are_lines_too() -> None:
    def speak(teller: Teller) -> None:
        teller.say("info", "ready", "it is ready", page="http://127.0.0.1:8081")
        logging.getLogger("whygate").warning("whygate: two\nlines with %s", SECRET)
        logging.getLogger("gateway.record.recorder").warning("the disk is full")
        logging.getLogger("whygate.path").info("not shown")
        try:
            int(f"with {SECRET}")
        except ValueError:
            logging.getLogger("asyncio").exception("a task broke")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("something old", DeprecationWarning, stacklevel=1)
        thread = threading.Thread(target=lambda: 1 / 0, name="a-thread")
        thread.start()
        thread.join()

    lines = said(speak)
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error", "warning", "error"]
    assert lines[1]["message"] == "two\nlines with [redacted]"
    assert lines[2]["logger"] == "gateway.record.recorder"
    assert "ValueError" in lines[3]["exception"]
    assert "something old" in lines[4]["message"]
    assert "ZeroDivisionError" in lines[5]["exception"]
    assert SECRET not in json.dumps(lines)


def test_a_record_that_cannot_be_formatted_is_still_a_line() -> None:
    record = logging.LogRecord("whygate", logging.WARNING, "", 0, "%d", ("no number",), None)
    with pipe() as (reading, writing):
        lines = Lines(writing)
        JsonHandler(lines, logging.WARNING).handle(record)
        lines.close()
        line = json.loads(os.read(reading, 2**20))
    assert (line["level"], line["logger"]) == ("warning", "whygate")


def test_nothing_is_left_behind() -> None:
    before = logging.lastResort, list(logging.getLogger().handlers), threading.excepthook
    said(lambda _: None)
    assert (logging.lastResort, list(logging.getLogger().handlers), threading.excepthook) == before


def test_who_does_not_read_holds_nobody_up_and_learns_how_much_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_json, "QUEUE_BYTES", 100_000)
    with pipe() as (reading, writing):
        lines = Lines(writing)
        began = time.monotonic()
        for number in range(5000):
            lines.say({"event": "call", "number": number, "filling": "x" * 100})
        assert time.monotonic() - began < 2.0
        found = b""
        closing = threading.Thread(target=lines.close)
        closing.start()
        os.set_blocking(reading, False)
        is_over = False
        while not is_over:
            is_over = not closing.is_alive()
            try:
                found += os.read(reading, 2**20)
            except BlockingIOError:
                threading.Event().wait(0.005)
    told = [json.loads(line) for line in found.splitlines()]
    left_out = sum(line["count"] for line in told if line["event"] == "lines_left_out")
    assert left_out
    assert left_out + sum(line["event"] == "call" for line in told) == 5000


def test_a_reader_that_is_gone_is_no_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lines = Lines(writing)
    lines.say({"event": "call"})
    lines.close()
    os.close(writing)
