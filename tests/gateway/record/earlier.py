"""A log as version 1 wrote it, for tests of those who read it and move it."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import orjson

from gateway.model.flow import FlowRow

_SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE flows (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started_at TEXT NOT NULL, kind TEXT NOT NULL,
  tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
  status INTEGER, cause TEXT, fault TEXT, search TEXT NOT NULL);
CREATE INDEX flows_failed ON flows (seq) WHERE cause IS NOT NULL;
CREATE INDEX flows_cause ON flows (cause, seq) WHERE cause IS NOT NULL;
CREATE TABLE details (seq INTEGER PRIMARY KEY, row BLOB NOT NULL, body TEXT);
PRAGMA user_version = 1;
"""
_UNKNOWN_THEN = frozenset(
    {"app", "body", "events", "fallback", "replay_of", "request_body", "request_bytes", "shadow", "upstream"}
)
_SEARCHED = ("id", "client", "tenant", "key", "provider", "method", "host", "path", "endpoint", "model", "cause")


def write_version_1(path: Path, rows: Iterable[FlowRow]) -> None:
    """Write a whole log."""
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        for row in rows:
            said = row.diagnosis or {}
            parts = [getattr(row, name) or "" for name in _SEARCHED] + [
                said.get("title", ""),
                said.get("what_happened", ""),
            ]
            plain = {name: getattr(row, name) for name in FlowRow.__slots__ if name not in _UNKNOWN_THEN}
            connection.execute(
                "INSERT INTO flows VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (row.seq, row.id, row.started_at, row.kind, row.tenant, row.provider, row.model, row.status, row.cause,
                 row.fault, "\n".join(parts).lower()),
            )  # fmt: skip
            connection.execute("INSERT INTO details VALUES (?,?,?)", (row.seq, orjson.dumps(plain), row.body))
        connection.execute("COMMIT")
