"""``whygate explain --jsonl``: a collection of failures in, a verdict for each out, in order, one line at a time."""

import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from gateway.cli.material import MAX_BYTES, opened
from gateway.cli.screen import note
from gateway.diagnose.say import say
from gateway.explain.judge import Judge
from gateway.explain.rows import UnreadableRowError, of_row
from gateway.model.diagnosis import Diagnosis

_EXIT_BAD_LINES = 1


def explain_lines(name: str, language: str) -> int:
    """Print the verdict on every line of a file; ``-`` is standard input.

    Returns:
        The exit code: 1 when a line could not be read. All others are done nevertheless.

    Raises:
        UserError: The file cannot be opened.
    """
    stream, judge, exit_code = opened(name), Judge(), 0
    with stream:
        for number, line in _lines(stream):
            answer = _answer(judge, line, number, language)
            if "error" in answer:
                exit_code = _EXIT_BAD_LINES
                note(f"whygate: {answer['error']}")
            sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
            # Whoever feeds us may wait for this line before it sends the next.
            sys.stdout.buffer.flush()
    return exit_code


def summary(diagnosis: Diagnosis) -> dict[str, Any]:
    """Give a verdict in short, as scores and scripts want it."""
    return {
        "cause": diagnosis.cause.value,
        "alternatives": [cause.value for cause in diagnosis.alternatives],
        "fault": diagnosis.fault.value if diagnosis.fault else None,
        "precision": diagnosis.precision.value,
        "retryable": diagnosis.waiting_helps,
        "vendor": diagnosis.vendor or None,
        "title": diagnosis.title,
        "what_to_do": list(diagnosis.what_to_do),
    }


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Give each line that is not blank with its number; None for one that is too long."""
    number = 0
    while line := stream.readline(MAX_BYTES + 1):
        number += 1
        if len(line) > MAX_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line := line.removeprefix(b"\xef\xbb\xbf").strip():
            yield number, line


def _answer(judge: Judge, line: bytes | None, number: int, language: str) -> dict[str, Any]:
    name: object = None
    try:
        row = _object(line)
        name = row.get("id")
        # The name is given back as it is; what reads the row wants text.
        seen = of_row(row if isinstance(name, str) else {**row, "id": None})
        return {"id": name, **summary(say(judge.judge(seen), language))}
    except UnreadableRowError as exc:
        return {"id": name, "error": f"line {number}: {exc}"}
    except Exception as exc:  # noqa: BLE001 - a bug of ours costs one line, and the line says so
        return {"id": name, "error": f"line {number}: whygate failed with {type(exc).__name__}."}


def _object(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise UnreadableRowError(f"The row is longer than {MAX_BYTES // 2**20} MiB.")
    try:
        document = _parsed(line)
    except (ValueError, RecursionError) as exc:
        raise UnreadableRowError(f"This is no JSON ({getattr(exc, 'msg', exc)}).") from exc
    if not isinstance(document, dict):
        raise UnreadableRowError("The row is no object.")
    return document


def _parsed(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Half of a surrogate pair, where a body was cut, or bytes that are no UTF-8: what others write is still read.
        document = json.loads(line.decode("utf-8", "replace"))
        return orjson.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
