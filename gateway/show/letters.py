"""Failures as texts that one sends to others: to the provider's support, to the company's IT, or as a time line.

Everything is said in UTC, in English and in plain text. Renders; sends nothing.
"""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from gateway.doctor.ticket import asked_for
from gateway.record.har import url_of
from gateway.show.plain import duration, plain, title_of
from gateway.show.terminal import Row, detail

_WIDTH = 100
_CALLS_MAX, _VERDICTS_MAX = 50, 200
"""More of them say no more; the log beside the text has them all."""
_REQUEST_IDS = frozenset({
    "x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-oneapi-request-id", "x-log-id",
    "x-ds-trace-id", "x-dashscope-request-id", "msh-request-id", "mistral-correlation-id", "x-generation-id",
    "x-amzn-requestid", "x-cloud-trace-context", "x-client-request-id", "cf-ray",
})  # fmt: skip
_OF_A_PROVIDER = frozenset({"caller", "policy", "edge", "provider"})
_COMPANY_CLIENT = frozenset({"client.ca_not_trusted", "client.ca_bundle_misconfigured"})


def verdicts(rows: Iterable[Row]) -> str:
    """Give the failed calls in full, newest first, as ``whygate flows show`` does, without colours."""
    every = [row for row in _newest_first(rows) if row.get("cause")]
    failed = every[:_VERDICTS_MAX]
    written = io.StringIO()
    screen = Console(file=written, width=_WIDTH, no_color=True, highlight=False, markup=False, emoji=False)
    for row in failed:
        screen.rule(plain(row["id"], 40), characters="=")
        screen.print(detail(row))
    if len(every) > len(failed):
        screen.print(f"... and {len(every) - len(failed)} more; flows.jsonl has them.")
    text = "\n".join(line.rstrip() for line in written.getvalue().splitlines())
    return f"{text or 'No call failed.'}\n"


def timeline(rows: Iterable[Row]) -> str:
    """Give one line for each call, oldest first, and below a failed one a line for each try."""
    lines = ["Times are UTC. What is behind + is the time since the call began, as far as it is known.", ""]
    for row in reversed(_newest_first(rows)):
        title = f"{row['cause']}: {_title(row)}" if row.get("cause") else "succeeded" if _is_over(row) else row["state"]
        cached = f"cache {row['cache']}" if row.get("cache", "none") != "none" else ""
        facts = (_status(row), _subject(row), duration(row.get("total_ms")), cached, title, f"[{row['id']}]")
        lines.append("  ".join((str(row["started_at"]), *(plain(fact, 200) for fact in facts if fact))))
        lines += _tries(row) if row.get("cause") or len(row.get("attempts") or ()) > 1 else []
    return "\n".join(lines) + "\n"


def for_provider_support(rows: Iterable[Row]) -> str:
    """Give a text for each provider that answered, or should have."""
    failed = [row for row in _newest_first(rows) if row.get("cause") and _concerns_provider(row)]
    if not failed:
        return "No failure in this bundle is one that a provider's support could look into.\n"
    named: dict[str, list[Row]] = {}
    for row in failed:
        named.setdefault(str(row["provider"] or row["host"]), []).append(row)
    return "\n\n".join(_to_provider(name, calls) for name, calls in named.items()) + "\n"


def for_company_it(rows: Iterable[Row], hosts: Mapping[str, Sequence[str]]) -> str:
    """Give a text for those who run the company's network.

    Args:
        rows: All calls of the bundle.
        hosts: Of each provider that was used, what must be reachable.
    """
    failed = [row for row in _newest_first(rows) if row.get("cause") and _concerns_company(row)]
    lines = ["For the company's IT: access to LLM APIs", "=" * 40, ""]
    if not failed:
        lines += ["No failure in this bundle points to the company's network, proxy or security products."]
    else:
        lines += [f"{_count(failed)} could not be completed on the way to these hosts. Times are UTC."]
    for host in dict.fromkeys(map(_asked_host, failed)):
        lines += ["", *_about_host(host, [row for row in failed if _asked_host(row) == host])]
    lines += ["", "What is asked for", "-" * 17, "From this machine to TCP port 443, where no other is named, of:"]
    named = [*(host for names in hosts.values() for host in names), *map(_asked_host, failed)]
    named = list(dict.fromkeys(plain(host, 255).removesuffix(":443") for host in named))
    lines += [f"  {host}" for host in named] or ["  (no provider's host was called)"]
    lines += asked_for(width=_WIDTH)
    return "\n".join(lines) + "\n"


def _to_provider(name: str, rows: Sequence[Row]) -> str:
    causes = Counter(str(row["cause"]) for row in rows)
    lines = [f"For the support of {plain(name, 80)}", "=" * 40, ""]
    lines.append(f"{_count(rows)} failed between {rows[-1]['started_at']} and {rows[0]['started_at']} (UTC):")
    lines += [f"  {count} x {cause}" for cause, count in causes.most_common()]
    lines.append("Seen from a gateway on the caller's machine (whygate). No key and no prompt is in this text.")
    for number, row in enumerate(rows[:_CALLS_MAX], 1):
        lines += ["", f"Call {number}", "-" * 8, *_call(row)]
    if len(rows) > _CALLS_MAX:
        lines += ["", f"... and {len(rows) - _CALLS_MAX} more; flows.jsonl has them."]
    return "\n".join(lines)


def _call(row: Row) -> Iterable[str]:
    said = row.get("diagnosis") or {}
    ids = [f"{name} {value}" for name, value in _kept(row) if name in _REQUEST_IDS]
    tries = len(row.get("attempts") or ())
    yield f"Time (UTC):    {row['started_at']} to {row.get('ended_at') or 'now'}"
    yield f"Request:       {plain(row['method'], 20)} {plain(url_of(row), 800)}"
    if row.get("model"):
        yield f"Model:         {plain(row['model'], 200)}"
    yield f"Status:        {row.get('status') or 'no answer'}{f', after {tries} tries' if tries > 1 else ''}"
    yield f"Request ids:   {plain(', '.join(ids), 800) or 'none came'}"
    yield f"Verdict:       {row['cause']} ({row.get('precision') or 'unknown'}): {_title(row)}"
    for name, facts in (
        ("What happened", [said.get("what_happened")]),
        ("What we saw", said.get("evidence") or ()),
        ("Ruled out", [_ruled_out(one) for one in said.get("ruled_out") or ()]),
    ):
        for number, fact in enumerate(filter(None, facts)):
            yield f"{name + ':' if not number else '':<15}{plain(fact, 500)}"
    yield from _tries(row)


def _about_host(host: str, rows: Sequence[Row]) -> Iterable[str]:
    causes = Counter(str(row["cause"]) for row in rows)
    newest = rows[0].get("diagnosis") or {}
    yield _with_port(plain(host, 255))
    yield f"  When:           {rows[-1]['started_at']} to {rows[0]['started_at']} ({_count(rows)})"
    yield f"  What:           {', '.join(f'{cause} ({count})' for cause, count in causes.most_common())}"
    told = {
        "Happened": [newest.get("what_happened")],
        "Product": [_diagnosis(row).get("vendor") for row in rows],
        "Signed by": [_fact(row, "issuer") for row in rows],
        "Addresses": [_fact(row, "address") for row in rows],
        "Proxy": [_fact(row, "proxy") for row in rows],
        "Error": [_detail(row) for row in rows],
        "Seen": newest.get("evidence") or (),
    }
    for name, facts in told.items():
        for fact in list(dict.fromkeys(filter(None, facts)))[:5]:
            yield f"  {name + ':':<16}{plain(fact, 400)}"


def _tries(row: Row) -> Iterable[str]:
    attempts = row.get("attempts") or ()
    queued = attempts[0].get("queued_ms") if attempts else None  # older rows have the whole call's alone
    at = float(row.get("queue_ms") or 0.0) if queued is None else float(queued)
    for attempt in attempts:
        at += attempt.get("waited_ms") or 0.0
        phases, failure = attempt.get("phases") or (), attempt.get("failure") or {}
        took = max((phase["end_ms"] for phase in phases), default=0.0)
        told = [f"answered {attempt['status']}" if attempt.get("status") else ""]
        told.append(f"{failure.get('code')} during {failure.get('phase')}" if failure else "")
        spent = ", ".join(f"{phase['name']} {phase['end_ms'] - phase['start_ms']:.0f}" for phase in phases)
        what = plain("; ".join(filter(None, told)) or "no answer", 300)
        yield f"    +{at / 1000:.3f} s  try {attempt['n']}: {what}{f' ({plain(spent, 200)} ms)' if spent else ''}"
        at += took


def _concerns_provider(row: Row) -> bool:
    fault = row.get("fault") or "provider"
    return row.get("kind") != "tunnel" and fault in _OF_A_PROVIDER and not _concerns_company(row)


def _concerns_company(row: Row) -> bool:
    cause = str(row["cause"])
    return bool(
        cause.startswith("network.") or cause in _COMPANY_CLIENT or _diagnosis(row).get("author") == "middlebox"
    ) and bool(row.get("host"))


def _diagnosis(row: Row) -> Mapping[str, Any]:
    return row.get("diagnosis") or {}


def _fact(row: Row, name: str) -> str:
    """Give what a placeholder of the verdict stands for; its evidence has placeholders of its own."""
    said = _diagnosis(row)
    groups = [said.get("facts") or (), *(clue.get("facts") or () for clue in said.get("clues") or ())]
    return next((str(value) for group in groups for key, value in group if key == name), "")


def _detail(row: Row) -> str:
    attempts = row.get("attempts") or ()
    return str(((attempts[-1].get("failure") if attempts else None) or {}).get("detail") or "")


def _kept(row: Row) -> Iterable[tuple[str, str]]:
    for name, value in (*(row.get("response_headers") or ()), *(row.get("request_headers") or ())):
        yield str(name).lower(), str(value)


def _ruled_out(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    return ": ".join(filter(None, (str(entry.get("cause") or ""), str(entry.get("why") or ""))))


def _newest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["started_at"], row["seq"]), reverse=True)


def _is_over(row: Row) -> bool:
    return bool(row["state"] == "done")


def _status(row: Row) -> str:
    return str(row.get("status") or ("failed" if row.get("cause") else "ok" if _is_over(row) else "..."))


def _subject(row: Row) -> str:
    return f"{row['provider'] or row['host']} {row['model'] or row['path'] or row['kind']}"


def _title(row: Row) -> str:
    return plain(_diagnosis(row).get("title") or title_of(str(row["cause"])), 120)


def _asked_host(row: Row) -> str:
    """Give the host that the call went to: of one by base URL the provider's, not ours."""
    return str(row.get("upstream") or row["host"])


def _with_port(host: str) -> str:
    return host if host.rpartition(":")[2].isdigit() and host.count(":") == 1 else f"{host}:443"


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows):,} call{'s' * (len(rows) != 1)}"
