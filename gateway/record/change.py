"""What differs between a failed call and the last one of its kind that worked. Pure: rows in, values out.

A row holds what may be kept of a call, so a change in what is not kept (the prompt, the key itself, the certificate
that a good call was shown) cannot be seen here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]

CLOSEST = (1, 2)
"""What `closeness` gives for the same host, model and key."""
_NOT_ASKED = frozenset({"hit", "collapsed", "stale"})
_PLAIN = ("model", "key", "tenant", "host", "stream")
_TELLING_ANSWER = ("server", "via")
"""Of an answer's headers only those that name who wrote or passed it: the others differ with every failure."""
_EACH_TIME = frozenset(
    {"content-length", "date", "traceparent", "x-stainless-retry-count", "connection", "transfer-encoding", "host"}
)
_ID_CHARS_MIN = 12
_MUCH = 2
_BYTES_MIN, _TOKENS_MIN = 1_024, 256
"""Less than this is no change of size worth telling, whatever the factor."""
_MAX_CHANGES = 40


def closeness(row: Row, failed: Row) -> tuple[int, int] | None:
    """Say how well a row serves as the one to compare with; more is closer.

    Args:
        row: Any row of the log.
        failed: The one that did not work.

    Returns:
        Whether it went to the same host, and how many of model and key are the same. None when it is of another kind,
        did not work, or was not answered by the provider at the time (from the cache, or by a fallback).
    """
    if row["state"] != "done" or row.get("cause") or row.get("fallback") or row.get("cache") in _NOT_ASKED:
        return None
    if any(row[name] != failed[name] for name in ("kind", "provider", "endpoint")):
        return None
    return int(row["host"] == failed["host"]), sum(row[name] == failed[name] for name in ("model", "key"))


def closest(rows: Iterable[Row], failed: Row, best: Row | None = None) -> Row | None:
    """Give the closest of rows that are in order, the first of equals; ``best`` is one that was found before."""
    for row in rows:
        how_close = closeness(row, failed)
        if how_close is not None and (best is None or how_close > (closeness(best, failed) or (0, 0))):
            best = row
    return best


def changes(before: Row, now: Row) -> list[dict[str, Any]]:
    """Give what differs, the weightiest first: ``{"field", "before", "now"}``, at most 40.

    ``field`` is the name of a row's field; ``request_bytes`` for the length of the body; ``request_headers.NAME`` or
    ``response_headers.NAME`` for a header. A value is None where there was nothing. Sizes count from twice or half on.
    """
    found = [_change(name, before.get(name), now.get(name)) for name in _PLAIN]
    found.append(_path(before, now))
    # A length of nothing was not noted, as in rows of an older version.
    old_bytes, new_bytes = (row.get("request_bytes") or None for row in (before, now))
    found.append(_size("request_bytes", old_bytes, new_bytes, _BYTES_MIN))
    found.append(_size("tokens_in", before.get("tokens_in"), now.get("tokens_in"), _TOKENS_MIN))
    sent_before, sent_now = _headers(before, "request_headers"), _headers(now, "request_headers")
    names = sorted(name for name in sent_before | sent_now if not _differs_each_time(name))
    found += [_change(f"request_headers.{name}", sent_before.get(name), sent_now.get(name)) for name in names]
    got_before, got_now = _headers(before, "response_headers"), _headers(now, "response_headers")
    if got_now:
        found += [
            _change(f"response_headers.{name}", got_before.get(name), got_now.get(name)) for name in _TELLING_ANSWER
        ]
    return [one for one in found if one is not None][:_MAX_CHANGES]


def _change(field: str, before: Any, now: Any) -> dict[str, Any] | None:
    before, now = (None if value == "" else value for value in (before, now))
    return None if before == now else {"field": field, "before": before, "now": now}


def _path(before: Row, now: Row) -> dict[str, Any] | None:
    """Compare paths. An id in one, or a model that is named in it, is no change of its own."""
    old, new = before["path"], now["path"]
    if before["model"] and now["model"]:
        old = old.replace(before["model"], now["model"])
    if _without_ids(old) == _without_ids(new):
        return None
    return _change("path", before["path"], now["path"])


def _without_ids(path: str) -> list[str]:
    return ["*" if len(part) >= _ID_CHARS_MIN and re.search(r"\d", part) else part for part in path.split("/")]


def _headers(row: Row, field: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in row.get(field) or ():
        found.setdefault(name, []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _differs_each_time(name: str) -> bool:
    return name in _EACH_TIME or name.endswith("-id") or name.startswith("x-whygate-")


def _size(field: str, before: int | None, now: int | None, least: int) -> dict[str, Any] | None:
    if before is None or now is None or abs(now - before) < least:
        return None
    return _change(field, before, now) if max(before, now) >= _MUCH * min(before, now) else None
