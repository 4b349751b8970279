"""A report as a letter to those who run a company's network: what is needed, what was found, what is asked for.

Plain text of at most 78 columns, to be pasted into a ticket. It holds no credential, no user name and no address of
this machine; it asks, and never tells how to get round a policy.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.doctor.chatgpt import VOICE_HOSTS, VOICE_RANGE, VOICE_UDP, entries, patterns
from gateway.doctor.framing import WIDTH_CELLS, cells, frame, wrapped
from gateway.model.secret import STRUCK, scrub

WIDTH: Final = WIDTH_CELLS
_FINDINGS_MAX, _LINES_MAX, _RULED_OUT_MAX = 8, 8, 8
_COMPANY: Final = frozenset({"client.ca_not_trusted", "client.ca_bundle_misconfigured"})
_WEBSOCKETS: Final = ("ws.chatgpt.com", "chatgpt.com")
_HOME: Final = re.compile(r"(/home/|/Users/|[A-Za-z]:\\Users\\)[^/\\\s'\"]+")
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")

Document = Mapping[str, Any]


def ticket(document: Document, language: str = "en") -> str:
    """Give the letter.

    Args:
        document: As `gateway.doctor.report.document` gives it; its sentences stay in the language that it is in.
        language: Of everything else.
    """
    words = frame(language)
    target = _plain(document.get("target") or "")
    found = [check for check in document.get("checks") or () if check.get("cause")]
    concerning = [check for check in found if _concerns_company(check)]
    opening = "opening" if concerning else "opening_other" if found else "opening_fine"
    lines = [
        *wrapped(words["ticket.subject"].format(target=target)),
        "",
        *wrapped(words[f"ticket.{opening}"].format(target=target, time=_time(document.get("began_at")))),
    ]
    if concerning or found:
        lines += ["", *_heading(words["ticket.found"]), *_findings(concerning or found, words)]
        lines += _excluded(concerning or found, words)
    way = _plain(document.get("way") or "straight")
    told = words["ticket.straight"] if way == "straight" else words["ticket.through"].format(way=way)
    lines += ["", *_heading(words["ticket.way"]), *wrapped(told, "  ")]
    lines += ["", *_heading(words["ticket.needed"]), *_needed(document, target, words)]
    lines += ["", *_heading(words["ticket.asked"]), *asked_for(language)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def asked_for(language: str = "en", width: int = WIDTH) -> list[str]:
    """Give what a letter asks a company for."""
    words = frame(language)
    lines = list(wrapped(words["ticket.if_permitted"], width=width))
    for name in ("inspection", "streams", "websocket", "purpose"):
        lines += wrapped(words[f"ticket.ask_{name}"], "  - ", "    ", width)
    return lines


def _concerns_company(check: Mapping[str, Any]) -> bool:
    cause = str(check.get("cause"))
    return (cause.startswith("network.") and cause != "network.offline") or cause in _COMPANY


def _findings(checks: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> Iterator[str]:
    for number, check in enumerate(checks[:_FINDINGS_MAX], 1):
        title = f"{_plain(check.get('title') or '')} ({_plain(check['cause'])})"
        yield from wrapped(title, f"{number}. ", "   ")
        facts = [("happened", [check.get("what_happened")]), ("product", [check.get("vendor")])]
        facts.append(("seen", list(check.get("evidence") or ())[:_LINES_MAX]))
        for name, values in facts:
            label = words[f"ticket.{name}"]
            for at, value in enumerate(_plain(one) for one in values if one):
                begin = f"   {label if not at else '':<{11 - _wide_count(label if not at else '')}}"
                yield from wrapped(value, begin, " " * 14)
        yield ""


def _wide_count(text: str) -> int:
    return cells(text) - len(text)


def _excluded(checks: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[str]:
    named: dict[str, str] = {}
    for check in checks:
        for one in check.get("ruled_out") or ():
            named.setdefault(_plain(one.get("cause") or ""), _plain(one.get("why") or ""))
    if not named:
        return []
    lines = _heading(words["ticket.ruled_out"])
    for cause, why in list(named.items())[:_RULED_OUT_MAX]:
        lines += wrapped(f"{cause}: {why}" if why else cause, "  - ", "    ")
    return lines


def _needed(document: Document, target: str, words: Mapping[str, str]) -> Iterator[str]:
    """Give domains, ports and protocols: those of the target, and with ``--chatgpt`` the published list."""
    host, _, port = target.rpartition(":")
    other = bool(host) and port.isdigit() and host.count(":") == 0
    yield from wrapped(words["ticket.tcp"].replace("443", port) if other else words["ticket.tcp"], "  ")
    if not _looked_at_chatgpt(document):
        yield f"    {host if other else target}"
        return
    named = dict.fromkeys((host if other else target, *patterns()))
    yield from (f"    {name}" for name in named)
    yield from wrapped(words["ticket.websocket"], "  ")
    yield from (f"    {name}" for name in _WEBSOCKETS)
    yield from wrapped(words["ticket.voice"].format(port=VOICE_UDP, range=VOICE_RANGE), "  ")
    yield from (f"    {name}" for name in VOICE_HOSTS)
    yield from wrapped(words["ticket.voice_list"], "    ")
    yield from wrapped(words["ticket.pinned"], "  ")
    yield from (f"    {entry.pattern}" for entry in entries() if entry.pinned)


def _looked_at_chatgpt(document: Document) -> bool:
    checks = document.get("checks") or ()
    return any(check.get("name") == "chatgpt-domains" and check.get("about") for check in checks)


def _heading(text: str) -> list[str]:
    return [text, "-" * cells(text)]


def _plain(value: object) -> str:
    """Give a text on one line, without credentials, names of people, and what could turn a terminal around."""
    shown = " ".join("".join(one if one.isprintable() else " " for one in str(value)[:2000]).split())
    return _MAIL.sub(STRUCK, _HOME.sub(r"\1...", scrub(shown)))[:600]


def _time(value: object) -> str:
    try:
        return f"{datetime.fromtimestamp(float(value), UTC):%Y-%m-%d %H:%M}"  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
