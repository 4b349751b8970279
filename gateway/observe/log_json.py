"""The gateway's output as JSON lines: one object a line on stderr, calls and warnings alike.

Lines wait in a bounded queue for a thread that writes them: whoever reads a log slowly must not slow a call. What does
not fit is left out, and a line says how many were.
"""

import contextlib
import logging
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.model.secret import scrub
from gateway.observe.ended import Ended, model_of, spans_of
from gateway.record.row import utc_text

QUEUE_BYTES = 4 * 1024 * 1024
LINE_CHARS = 16_000
CLOSE_SECONDS = 1.0
CALLS = logging.getLogger("whygate.calls")
"""Hears of every finished call, where somebody listens."""

_FIELDS = "whygate_fields"


def log_call(ended: Ended) -> None:
    """Log a finished call."""
    level = logging.INFO if ended.cause is None else logging.WARNING
    CALLS.log(level, "%s", _sentence(ended), extra={_FIELDS: call_fields(ended)})


def call_fields(ended: Ended) -> dict[str, Any]:
    """Give what is said of a call, JSON-ready. No path, no body, no key; times in milliseconds."""
    spans = spans_of(ended)
    tokens_in, tokens_out = ended.usage or (None, None)
    return {
        "event": "call",
        "flow": ended.id,
        "kind": ended.kind,
        "tenant": ended.tenant,
        "provider": ended.provider,
        "operation": ended.operation,
        "model": model_of(ended),
        "stream": ended.stream,
        "status": ended.status,
        "cause": None if ended.cause is None else ended.cause.value,
        "fault": None if ended.fault is None else ended.fault.value,
        "total_ms": round(spans.total * 1000, 1),
        "queue_ms": round(ended.queued_seconds * 1000, 1),
        "overhead_ms": None if spans.overhead is None else round(spans.overhead * 1000, 2),
        "ttft_ms": None if spans.first_byte is None else round(spans.first_byte * 1000, 1),
        "attempts": len(ended.attempts),
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "cache": ended.cache,
        "fallback": ended.fallback,
        "possible_duplicate": ended.possible_duplicate,
        "ended_at": utc_text(ended.arrived_at + ended.ended - ended.arrived),
    }


def _sentence(ended: Ended) -> str:
    what = f"{ended.provider or ended.kind} {model_of(ended)}".strip()
    return f"{what}: {ended.title or ended.cause.value}" if ended.cause is not None else f"{what}: done"


class Lines:
    """Writes lines to a descriptor, in a thread of its own, which ends with `close`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = self._left_out = 0
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="whygate-log", daemon=True)
        self._thread.start()

    def say(self, fields: dict[str, Any]) -> None:
        """Queue a line. Never blocks and never raises, from any thread."""
        try:
            line = orjson.dumps(fields, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
        except orjson.JSONEncodeError:
            line = orjson.dumps({"level": "error", "event": "log", "message": "a line could not be written"}) + b"\n"
        with self._lock:
            if self._waiting_bytes + len(line) > QUEUE_BYTES:
                self._left_out += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
        self._wake.set()

    def close(self) -> None:
        """Write what waits, within a second."""
        self._is_over = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            over = self._is_over
            while batch := self._batch():
                try:
                    while batch:
                        batch = batch[os.write(self._descriptor, batch) :]
                except OSError:
                    return  # nobody reads any more
            if over:
                return

    def _batch(self) -> bytes:
        with self._lock:
            batch = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes, left_out, self._left_out = 0, self._left_out, 0
        if left_out:
            words = f"{left_out} lines were left out, since nobody read them in time"
            told = {"time": utc_text(time.time()), "level": "warning", "event": "lines_left_out", "message": words}
            batch += orjson.dumps(told | {"count": left_out}) + b"\n"
        return batch


class JsonHandler(logging.Handler):
    """Gives log records to `Lines`, without credentials."""

    def __init__(self, lines: Lines, level: int) -> None:
        super().__init__(level)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            told = {"time": utc_text(record.created), "level": record.levelname.lower()}
            fields = getattr(record, _FIELDS, None)
            if fields is None:
                fields = {"event": "log", "logger": record.name}
                if record.exc_info and record.exc_info[0] is not None:
                    fields["exception"] = scrub("".join(traceback.format_exception(*record.exc_info))[-LINE_CHARS:])
            message = record.getMessage().removeprefix("whygate: ")
            self._lines.say({**told, "message": scrub(message[:LINE_CHARS]), **fields})
        except Exception:  # noqa: BLE001 - a log line that cannot be made must not end a call
            self._lines.say({**told, "event": "log", "logger": record.name, "message": "a line could not be made"})


class Teller:
    """Says what is no log record: that the gateway is ready, or why it cannot start."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def say(self, level: str, event: str, message: str, **fields: Any) -> None:
        """Say it."""
        clean = {name: scrub(value) if isinstance(value, str) else value for name, value in fields.items()}
        told = {"time": utc_text(time.time()), "level": level, "event": event, "message": scrub(message)}
        self._lines.say({**told, **clean})


@contextlib.contextmanager
def speaking_json(descriptor: int = 2) -> Iterator[Teller]:
    """Make all that Python's logging, its warnings and its threads say lines of JSON, until the block ends."""
    lines = Lines(descriptor)
    root, handler, calls = logging.getLogger(), JsonHandler(lines, logging.WARNING), JsonHandler(lines, logging.INFO)
    before = logging.lastResort, threading.excepthook, sys.unraisablehook, CALLS.level, CALLS.propagate
    # What would write as it pleases: Python itself where no handler is, and hooks of threads and destructors.
    logging.lastResort = logging.NullHandler()
    threading.excepthook = lambda args: logging.getLogger("whygate").error(
        "the thread %s broke", args.thread.name if args.thread else "", exc_info=args.exc_value
    )
    sys.unraisablehook = lambda args: logging.getLogger("whygate").error(
        "%s", args.err_msg or "an exception where none can be raised", exc_info=args.exc_value
    )
    logging.captureWarnings(capture=True)
    root.addHandler(handler)
    CALLS.addHandler(calls)
    CALLS.setLevel(logging.INFO)
    CALLS.propagate = False
    try:
        yield Teller(lines)
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(handler)
        CALLS.removeHandler(calls)
        logging.lastResort, threading.excepthook, sys.unraisablehook, CALLS.level, CALLS.propagate = before
        lines.close()
