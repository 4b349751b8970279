"""Which rows a reader wants. The same filter works on rows in memory and, as parameters, in SQL."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from gateway.model.flow import FlowRow
from gateway.record.row import utc_text

_BOTH = ("client", "path", "diagnosis")
_SHARED = (*_BOTH, "app", "tenant", "provider", "method", "host", "upstream", "endpoint", "model", "cause")
_OWN = (*_BOTH, "id", "key")
_SHARED_OF, _OWN_OF = attrgetter(*_SHARED), attrgetter(*_OWN)
_NAME_CHARS = re.compile(r"\w{12,}")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
CAUSE_PATTERN = r"\*|[a-z][a-z0-9_]{0,40}(?:\.(?:\*|[a-z0-9_]{1,60}))?"
STATUS_PATTERN = r"[1-5](?:xx|[0-9][0-9])"
_CAUSE, _STATUS = re.compile(CAUSE_PATTERN), re.compile(STATUS_PATTERN)
MAX_TERMS = 8


class BadFilterError(ValueError):
    """A filter value that means nothing; the message says which and what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFilter:
    """What rows must have; an empty field asks for nothing.

    Attributes:
        cause: A slug, a family like ``rate_limit.*``, or ``*`` for every failure.
        status: ``429``, or a class like ``4xx``.
        q: Words, each of which must occur somewhere in what a row shows.
        app: The program that called, as rows name it.
        since: ISO 8601 in UTC as rows have it; see `since_text`. Calls that began then or later.
        until: The same; calls that began before.

    Raises:
        BadFilterError: for a cause or status of another form.
    """

    cause: str = ""
    fault: str = ""
    status: str = ""
    provider: str = ""
    model: str = ""
    tenant: str = ""
    app: str = ""
    kind: str = ""
    q: str = ""
    since: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        """Refuse what would silently match nothing."""
        if self.cause and not _CAUSE.fullmatch(self.cause):
            raise BadFilterError(f"cause={self.cause[:80]!r}: expected a slug, a family like rate_limit.*, or *")
        if self.status and not _STATUS.fullmatch(self.status):
            raise BadFilterError(f"status={self.status[:80]!r}: expected a number like 429 or a class like 4xx")

    @property
    def terms(self) -> tuple[str, ...]:
        """The words of ``q``, in lower case, at most eight."""
        return tuple(self.q.lower().split()[:MAX_TERMS])

    @property
    def cause_prefix(self) -> str | None:
        """``rate_limit.`` for ``rate_limit.*``, else None."""
        return self.cause[:-1] if self.cause.endswith(".*") else None

    @property
    def status_range(self) -> tuple[int, int] | None:
        """First and last status wanted, None for all."""
        if not self.status:
            return None
        if self.status.endswith("xx"):
            return int(self.status[0]) * 100, int(self.status[0]) * 100 + 99
        return int(self.status), int(self.status)

    def matches(self, row: FlowRow | Mapping[str, Any]) -> bool:
        """Say whether a row is wanted."""
        read = reader_of(row)
        same = ("fault", "provider", "model", "tenant", "app", "kind")
        if any(wanted and read(name) != wanted for name in same if (wanted := getattr(self, name))):
            return False
        cause, status = read("cause"), read("status")
        if self.cause and not self._is_cause(cause):
            return False
        span = self.status_range
        if span and not (status is not None and span[0] <= status <= span[1]):
            return False
        if self.since and read("started_at") < self.since:
            return False
        if self.until and read("started_at") >= self.until:
            return False
        text = search_text(row) if self.q else ""
        return all(term in text for term in self.terms)

    def _is_cause(self, cause: str | None) -> bool:
        if cause is None:
            return False
        prefix = self.cause_prefix
        return self.cause == "*" or (cause.startswith(prefix) if prefix else cause == self.cause)


def reader_of(row: FlowRow | Mapping[str, Any]) -> Callable[[str], Any]:
    """Give a way to read a field of a row, stored or in memory."""
    if isinstance(row, FlowRow):
        return lambda name: getattr(row, name)
    return row.get


def search_text(row: FlowRow | Mapping[str, Any]) -> str:
    """Give what ``q`` looks through, in lower case: everything that a row shows at a glance.

    A word matches in one of the two parts: none spans the line breaks between their pieces.
    """
    return f"{lowered(shared_parts(row))}\n{own_text(row)}"


def shared_parts(row: FlowRow | Mapping[str, Any]) -> tuple[str | None, ...]:
    """Give what many rows have in common, of all that ``q`` looks through."""
    client, path, said, *shared = _pieces(row, _SHARED, _SHARED_OF)
    known = (*shared, client_address(client or ""), said.get("title") if said else None)
    return known if _names_one_thing(path or "") else (*known, path)


def own_text(row: FlowRow | Mapping[str, Any]) -> str:
    """Give what few rows have in common: ids, ports, keys, the numbers of a failure."""
    client, path, said, *own = _pieces(row, _OWN, _OWN_OF)
    known = [client, *own, said.get("what_happened") if said else None]
    return lowered([*known, path] if _names_one_thing(path or "") else known)


def _pieces(row: FlowRow | Mapping[str, Any], names: tuple[str, ...], read: Callable[[Any], tuple[Any, ...]]) -> Any:
    """Read many fields at once: every row that is written comes through here."""
    return read(row) if isinstance(row, FlowRow) else map(row.get, names)


def lowered(parts: Iterable[str | None]) -> str:
    """Give pieces as one text to look for words in."""
    return "\n".join([part or "" for part in parts]).lower()


def client_address(client: str) -> str:
    """Give the address of ``address:port``, or the whole where there is no port."""
    address, _, port = client.rpartition(":")
    return address if port.isdigit() else client


@lru_cache(1_000)
def _names_one_thing(path: str) -> bool:
    """Say whether a path holds an id, so that it is not one of a few."""
    return any(any(map(str.isdigit, run)) for run in _NAME_CHARS.findall(path))


def since_text(text: str, now: float, name: str = "since") -> str:
    """Give the moment as rows have it. ``text`` is ISO 8601 or an age like ``90s``, ``15m``, ``2h``, ``1d``.

    Args:
        text: Empty stays empty.
        now: Seconds since the epoch, UTC.
        name: What the reader calls it.

    Raises:
        BadFilterError: when it is neither.
    """
    if not text:
        return ""
    if found := re.fullmatch(r"([0-9]{1,6})([smhd])", text):
        return utc_text(max(0.0, now - int(found[1]) * _SECONDS[found[2]]))
    try:
        moment = datetime.fromisoformat(text)
        return utc_text((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise BadFilterError(
            f"{name}={text[:80]!r}: expected an age like 15m, 2h, 1d, or a time like 2026-11-30T08:00:00Z"
        ) from error
