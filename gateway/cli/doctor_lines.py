"""A report of the doctor in a terminal: the most likely cause first, then every check in its section. Prints nothing.

Each state has a mark and a word of its own; a colour only repeats them.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

from rich.text import Text

from gateway.doctor.framing import cells, frame, wrapped
from gateway.doctor.probe import Group, Outcome
from gateway.show.labels import labels
from gateway.show.parts import BAD, BUSY, CALM, CARE, GOOD
from gateway.show.plain import plain

_MARKS: Final = {
    "ok": ("✓", GOOD), "note": ("•", BUSY), "warn": ("!", CARE), "fail": ("✗", BAD), "skipped": ("-", CALM),
}  # fmt: skip
_ORDER: Final = tuple(_MARKS)
_BAD: Final = frozenset({"warn", "fail"})
_EVIDENCE_MAX, _EVIDENCE_BELOW_MAX, _RULED_OUT_MAX, _STEPS_MAX = 4, 4, 4, 6
_WIDTH_MIN, _WIDTH_MAX, _WIDTH_OF_COLUMNS = 24, 100, 64
_NAME_CELLS_MAX = 24
_CHATGPT: Final = "chatgpt-"
"""What the probes of ChatGPT in browsers and apps are called: calls of programs do not need what these look at."""
_PARTED: Final = "chatgpt-domains"
"""The probe whose checks are told apart by what they are about: a need, with a word of its own."""

Document = Mapping[str, Any]
Check = Mapping[str, Any]


def lines_of(document: Document, width: int, *, language: str = "en", summary: bool = False) -> Iterator[Text]:
    """Give a report as lines for a terminal of so many columns; none is wider.

    Args:
        document: As `gateway.doctor.report.document` gives it.
        summary: One line a section, and the most likely cause in short.
    """
    width = max(_WIDTH_MIN, min(width, _WIDTH_MAX))
    page = _Page(document, width, language)
    yield from page.head()
    if summary:
        yield Text()
        yield from page.sections_in_short()
        yield from page.likely_in_short()
        return
    yield from page.likely()
    yield from page.scope()
    yield from page.sections()


class _Page:
    """One report at one width in one language."""

    def __init__(self, document: Document, width: int, language: str) -> None:
        self._document, self._width = document, width
        self._words, self._labels = frame(language), labels(language)
        self._checks: Sequence[Check] = document.get("checks") or ()
        self._likely: Check | None = document.get("most_likely")
        self._word_cells = max(cells(self._words[f"status.{status}"]) for status in _ORDER)
        names = [self._name(check) for check in self._checks]
        self._name_cells = min(_NAME_CELLS_MAX, max(map(cells, names), default=0))

    def head(self) -> Iterator[Text]:
        """Give how it is, in one sentence, and how that was found out."""
        worst = _worst(self._checks)
        told = {"fail": "failed", "warn": "warned"}.get(worst, "healthy")
        if worst in _BAD and _worst([one for one in self._checks if not one["name"].startswith(_CHATGPT)]) not in _BAD:
            told = "chatgpt"
        mark, style = _MARKS[worst if worst in _BAD else "ok"]
        target = plain(self._document.get("target") or "", 260)
        sentence = self._words[f"report.{told}"].format(target=target)
        yield from self._block(f"{mark} ", sentence, f"bold {style}")
        way = plain(self._document.get("way") or "straight", 200)
        through = self._words["report.straight"] if way == "straight" else self._words["report.through"].format(way=way)
        counts = {status: sum(check["status"] == status for check in self._checks) for status in _ORDER}
        took = self._words["report.took"].format(
            count=len(self._checks) - counts["skipped"], seconds=f"{(self._document.get('took_ms') or 0) / 1000:.1f}"
        )
        fine = counts["ok"] + counts["note"]
        counted = self._words["report.counts"].format(**(counts | {"ok": fine}))
        yield from self._block("  ", f"{through} · {took} · {counted}", CALM)

    def likely(self) -> Iterator[Text]:
        """Give the one most likely cause: what it is, what was seen, what it is not, what to do."""
        check = self._likely
        if check is None:
            return
        yield from self._title_of(check)
        yield from self._block("  ", plain(check.get("what_happened") or ""))
        yield from self._list("what_we_saw", (check.get("evidence") or ())[:_EVIDENCE_MAX])
        excluded = [_excluded(one) for one in (check.get("ruled_out") or ())[:_RULED_OUT_MAX]]
        yield from self._list("ruled_out", excluded, style=CALM)
        steps = (check.get("what_to_do") or ())[:_STEPS_MAX]
        yield from self._list("what_to_do", steps, numbered=True)

    def likely_in_short(self) -> Iterator[Text]:
        """Give the same in three lines: what it is, what happened, the first step."""
        check = self._likely
        if check is None:
            return
        yield from self._title_of(check)
        yield from self._block("  ", plain(check.get("what_happened") or ""))
        for step in (check.get("what_to_do") or ())[:1]:
            yield from self._block("  → ", plain(step), GOOD)

    def scope(self) -> Iterator[Text]:
        """Give how far the trouble reaches."""
        told = self._document.get("scope") or ()
        if told:
            yield Text()
            yield from self._block("", self._words["report.scope"], "bold")
            for line in told:
                yield from self._block("  - ", plain(line))

    def sections(self) -> Iterator[Text]:
        """Give every check in its section."""
        for group in Group:
            checks = [check for check in self._checks if check["group"] == group.value]
            if not checks:
                continue
            yield Text()
            yield from self._block("", self._words[f"section.{group.value}"], "bold")
            for check in checks:
                yield from self._check(check)

    def sections_in_short(self) -> Iterator[Text]:
        """Give one line a section: its worst state, and what is wrong in it."""
        room = max(cells(self._words[f"section.{group.value}"]) for group in Group)
        for group in Group:
            checks = [check for check in self._checks if check["group"] == group.value]
            if not checks:
                continue
            worst = _worst(checks)
            name = self._words[f"section.{group.value}"]
            bad = [self._name(check) for check in checks if check["status"] in _BAD]
            fine = sum(check["status"] in {"ok", "note"} for check in checks)
            told = ", ".join(bad) or (f"{fine}/{len(checks)}")
            begin = self._begin(worst).append(f"{name}{' ' * (room - cells(name))}  ", style="bold")
            yield from self._after(begin, told, _MARKS[worst][1] if bad else CALM)

    def _title_of(self, check: Check) -> Iterator[Text]:
        style = _MARKS[check["status"]][1]
        yield Text()
        likely = f"{self._words['report.likely']}: "
        yield from self._block(likely, plain(check.get("title") or check.get("told") or ""), f"bold {style}", rest="  ")
        known = (
            plain(check.get("cause") or "", 80), self._labels.text(f"fault.{check.get('fault') or 'nobody'}"),
            self._labels.text(f"precision.{check.get('precision')}"), plain(check.get("vendor") or "", 80),
        )  # fmt: skip
        yield from self._block("  ", self._labels.text("comma").join(filter(None, known)), CALM)

    def _check(self, check: Check) -> Iterator[Text]:
        """Give a check in one line where it fits, and under trouble what was seen and what to do first."""
        status, name = check["status"], self._name(check)
        begin = self._begin(status)
        quiet = CALM if status in {"skipped", "ok"} else ""
        if self._width >= _WIDTH_OF_COLUMNS and cells(name) <= self._name_cells:
            begin.append(f"{name}{' ' * (self._name_cells - cells(name))}  ", style=CALM if status == "skipped" else "")
            yield from self._after(begin, plain(check["told"]), quiet if status == "skipped" else "")
        else:
            begin.append(name)
            begin.truncate(self._width, overflow="ellipsis")
            yield begin
            yield from self._block("    ", plain(check["told"]), quiet if status == "skipped" else "")
        if status in _BAD:
            yield from self._below(check)

    def _below(self, check: Check) -> Iterator[Text]:
        indent = " " * (5 + self._word_cells)
        evidence = list(check.get("evidence") or ())
        if check == self._likely:
            evidence = evidence[_EVIDENCE_MAX:]  # the others stand above
        # A line that says "and 1 more" is no shorter than the one that it stands for.
        shown = _EVIDENCE_BELOW_MAX + (len(evidence) == _EVIDENCE_BELOW_MAX + 1)
        for line in evidence[:shown]:
            yield from self._block(f"{indent}- ", plain(line), CALM)
        if len(evidence) > shown:
            yield from self._block(indent, self._words["report.more"].format(count=len(evidence) - shown), CALM)
        if check != self._likely:
            for step in (check.get("what_to_do") or ())[:1]:
                yield from self._block(f"{indent}→ ", plain(step), GOOD)

    def _begin(self, status: str) -> Text:
        """Give mark and word of a state, in a column of their own."""
        mark, style = _MARKS[status]
        word = self._words[f"status.{status}"]
        text = Text("  ").append(f"{mark} {word}", style=style)
        return text.append(" " * (self._word_cells - cells(word) + 2))

    def _list(self, label: str, lines: Sequence[object], *, style: str = "", numbered: bool = False) -> Iterator[Text]:
        if not lines:
            return
        yield Text()
        yield from self._block("  ", self._labels.text(label), "bold")
        for number, line in enumerate(lines, 1):
            mark = f"{number}." if numbered else "-"
            tone = GOOD if numbered and number == 1 else style
            yield from self._block(f"    {mark:<2} " if numbered else f"    {mark} ", plain(line), tone)

    def _name(self, check: Check) -> str:
        about = str(check.get("about") or "")
        known = self._words.get(f"about.{about}") if check["name"] == _PARTED else None
        return plain(known or " ".join(filter(None, (check["name"], about))), 80)

    def _block(self, begin: str, text: str, style: str = "", *, rest: str | None = None) -> Iterator[Text]:
        yield from self._after(Text(begin, style=style if begin.strip() in {"✓", "!", "✗"} else ""), text, style, rest)

    def _after(self, begin: Text, text: str, style: str = "", rest: str | None = None) -> Iterator[Text]:
        """Give text behind its beginning; what does not fit goes on below where it began."""
        used = cells(begin.plain)
        if used > self._width // 2:
            begin.truncate(self._width, overflow="ellipsis")
            yield begin
            begin, used = Text("    "), 4
        after = " " * used if rest is None else rest
        for number, line in enumerate(wrapped(text, " " * used, after, self._width)):
            if number:
                shown = Text(" " * cells(after)).append(line[len(after) :], style=style)
            else:
                shown = begin.copy().append(line[used:], style=style)
            shown.rstrip()
            yield shown


def _worst(checks: Sequence[Check]) -> str:
    return max((check["status"] for check in checks), key=_ORDER_OF.__getitem__, default="ok")


_ORDER_OF: Final = {"skipped": 0, "ok": 1, "note": 2, "warn": 3, "fail": 4}


def _excluded(entry: Mapping[str, Any]) -> str:
    cause, why = plain(entry.get("cause") or "", 80), plain(entry.get("why") or "")
    return f"{cause}: {why}" if why else cause


class Progress:
    """One line that says how far a run is; silent where nobody watches.

    Give it to `gateway.doctor.run.run` as ``heard``, and call `clear` before anything else is written.
    """

    def __init__(self, total: int, *, language: str = "en", stream: TextIO | None = None) -> None:
        """Count to ``total``, on stderr unless told otherwise."""
        self._stream = sys.stderr if stream is None else stream
        self._total, self._done = total, 0
        self._text = frame(language)["report.progress"]
        self._shown = self._stream.isatty()

    def __call__(self, outcome: Outcome) -> None:
        """Count one that has measured."""
        self._done += 1
        if self._shown:
            told = self._text.format(done=self._done, total=self._total, name=outcome.probe.name)
            self._stream.write(f"\r\x1b[2K{told}")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown and self._done:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def progress(total: int, language: str = "en") -> Progress:
    """Give a line on stderr that each measured probe moves on."""
    return Progress(total, language=language)
