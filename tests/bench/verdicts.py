"""Verdicts on collected failures: how many are right, how many name a wrong fault, how long one takes.

Run: ``uv run python -m tests.bench.verdicts [PATH] [--misses]``, where PATH is a folder with ``http_failures.jsonl`` and
``network_failures.jsonl`` (one object a line, see ``gateway/explain/rows.py``, with ``cause``, ``also_ok``, ``vendor``
and ``needs_probe`` beside it). Rows with ``needs_probe`` count apart, and there the true cause may be the second.
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.explain.judge import Judge
from gateway.explain.rows import of_row
from gateway.model.cause import Cause
from gateway.model.diagnosis import Diagnosis

FILES = ("http_failures.jsonl", "network_failures.jsonl")
NO_NAMES = frozenset({"proxy", "vpn", "dns", "filter", "server", "client", "national", "security", "our", "own", "the"})
USUAL = Path(__file__).parents[3] / "shared" / "corpus"


@dataclass(frozen=True, slots=True)
class Judged:
    """One row with the verdict on it."""

    row: dict[str, Any]
    said: Diagnosis
    ms: float

    @property
    def wanted(self) -> list[str]:
        return [self.row["cause"], *(self.row.get("also_ok") or ())]

    @property
    def right(self) -> bool:
        named = [self.said.cause.value, *(cause.value for cause in self.said.alternatives)]
        return bool(set(named[: 2 if self.row.get("needs_probe") else 1]) & set(self.wanted))

    @property
    def wrong_fault(self) -> bool:
        """Whether it sends a person to somebody who cannot fix it."""
        faults = {Cause(cause).fault for cause in self.wanted}
        return self.said.cause is not Cause.UNKNOWN and self.said.fault not in faults


def judged(path: Path, judge: Judge) -> list[Judged]:
    found = []
    for line in path.read_bytes().splitlines():
        row = orjson.loads(line)
        began = time.perf_counter()
        said = judge.judge(of_row(row))
        found.append(Judged(row, said, (time.perf_counter() - began) * 1000))
    return found


def same(vendor: str, said: str) -> bool:
    """Whether the product is the same one: a word that is a name stands in both."""
    one, other = (set(re.findall(r"[a-z0-9]{3,}", name.lower())) - NO_NAMES for name in (vendor, said))
    return bool(one & other)


def share(title: str, part: int, whole: int) -> None:
    print(f"{title:52} {part:4} of {whole:4}  {part / whole if whole else 0:7.1%}")


def score(title: str, rows: Sequence[Judged]) -> None:
    share(f"{title}: right", sum(one.right for one in rows), len(rows))
    share(f"{title}: names a wrong fault", sum(one.wrong_fault for one in rows), len(rows))
    share(f"{title}: unknown", sum(one.said.cause is Cause.UNKNOWN for one in rows), len(rows))


def misses(rows: Iterable[Judged]) -> None:
    for one in rows:
        if not one.right:
            got = " | ".join((one.said.cause.value, *(cause.value for cause in one.said.alternatives)))
            mark = "FAULT" if one.wrong_fault else ""
            probe = "probe" if one.row.get("needs_probe") else ""
            print(f"{one.row['id']:8} wanted {' | '.join(one.wanted):60} got {got:60} {mark:5} {probe}".rstrip())
        vendor = one.row.get("vendor") or ""
        if ("vendor" in one.row) and (vendor or one.said.vendor) and not (vendor and same(vendor, one.said.vendor)):
            print(f"{one.row['id']:8} wanted vendor {vendor or '-':53} got {one.said.vendor or '-'}")


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(prog="python -m tests.bench.verdicts", description=(__doc__ or "").split("\n")[0])
    asked.add_argument("path", nargs="?", type=Path, default=USUAL)
    asked.add_argument("--misses", action="store_true", help="the ids that are not right, with wanted and got")
    options = asked.parse_args()
    if missing := [name for name in FILES if not (options.path / name).is_file()]:
        sys.exit(f"{options.path} holds no {' and no '.join(missing)}. Call: python -m tests.bench.verdicts PATH")
    began = time.perf_counter()
    judge = Judge()
    ready_ms = (time.perf_counter() - began) * 1000
    http, network = (judged(options.path / name, judge) for name in FILES)
    settled = [one for one in network if not one.row.get("needs_probe")]
    score("HTTP", http)
    score("network", settled)
    score("network, to be probed", [one for one in network if one.row.get("needs_probe")])
    named = [one for one in (*http, *network) if one.row.get("vendor")]
    share("vendor named", sum(same(one.row["vendor"], one.said.vendor) for one in named), len(named))
    nobody = [one for one in (*http, *network) if "vendor" in one.row and not one.row["vendor"]]
    share("vendor named where there is none", sum(bool(one.said.vendor) for one in nobody), len(nobody))
    times = [one.ms for one in (*http, *network)]
    print(f"{'a verdict takes':52} {statistics.median(times):.2f} ms in the median, {max(times):.1f} ms at worst")
    print(f"{'the judge is ready after':52} {ready_ms:.0f} ms")
    if options.misses:
        misses((*http, *network))


if __name__ == "__main__":
    main()
