"""Which SDKs and runtimes stand behind the calls of the log, as their own headers say. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from gateway.record.har import Row, header_of

_STAINLESS = {
    "language": "x-stainless-lang",
    "version": "x-stainless-package-version",
    "runtime": "x-stainless-runtime",
    "runtime_version": "x-stainless-runtime-version",
    "os": "x-stainless-os",
    "arch": "x-stainless-arch",
}
"""What SDKs made with Stainless send: OpenAI's and Anthropic's among them."""
_MAX_KINDS = 100


def clients_seen(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Give each kind of client with how many calls it made, the busiest first; at most 100."""
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    for row in rows:
        told = {"user_agent": header_of(row, "user-agent")}
        told |= {name: header_of(row, header) for name, header in _STAINLESS.items()}
        counts[tuple((name, value) for name, value in told.items() if value)] += 1
    return [{**dict(kind), "calls": count} for kind, count in counts.most_common(_MAX_KINDS)]
