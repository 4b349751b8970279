"""Cuts what clients print into failures: a chained traceback is one, and so is an error with all that is below it."""

import re
from itertools import pairwise

from gateway.explain.clean import middle_cut

MAX_FAILURES = 20
_MAX_TEXT_CHARS = 64 * 1024

_TRACEBACK = re.compile(r"^(?:[^\n]{0,200}?)Traceback \(most recent call last\):", re.MULTILINE)
_CHAINED = ("another exception occurred:", "direct cause of the following exception:")
_LOGGED = re.compile(
    r"^(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\[?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b|\d\d:\d\d:\d\d\b)"
)
_FRAME = re.compile(
    r"^[ \t|+]*+(?:File \"[^\"\n]{1,1000}+\", line \d|at \S[^\n]{0,2000}[):\]>\d{]$|at async |at <"
    r"|\.\.\. \d{1,5} more$|goroutine \d|#\d{1,4} /)"
)
_MARGIN = re.compile(r"^ {1,40}\| ?")
"""Left of the parts of an exception group."""
_MARKS = re.compile(r"^[ \t|]*+[\^~]{1,400}+[\^~ ]*+$")
_HEAD = re.compile(
    r"^(?:(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ][^\n]{0,120}?|(?:ERROR|WARNING|CRITICAL|error)[: ][^\n]{0,80}?)\s)?"
    r"(?:\d{1,2}\)? )?(?:Uncaught |Unhandled |error: |Error: )?(?:\(in promise\) )?"
    r"(?:[A-Za-z_$][\w$]{0,60}+(?:[.\\/]|::)){0,12}+"
    r"(?:[A-Z][\w$]{0,80}?(?:Error|Exception|Exhausted|Timeout|NotFound|PermissionDenied|Unavailable)|Error(?= \[))"
    r"(?: \[\w{1,60}\])?:? \S"
)


def split(text: str) -> list[str]:
    """Give the failures of the text in order, each within bounds."""
    pieces = _tracebacks(text) or _headed(text)
    return [middle_cut(piece, _MAX_TEXT_CHARS * 4) for piece in pieces[:MAX_FAILURES] if piece.strip()]


def words_only(text: str) -> str:
    """Give the text without the frames of stacks: their lines quote source code, which may say anything."""
    kept: list[str] = []
    quoted = False
    for line in text.split("\n"):
        bare = _MARGIN.sub("", line)
        frame = _FRAME.match(bare)
        if frame:
            quoted = bare.lstrip().startswith("File ")
            if line.endswith(" {"):
                kept.append("{")
        elif not (_MARKS.match(bare) or (quoted and bare.startswith("    "))):
            quoted = False
            kept.append(line)
    return middle_cut("\n".join(kept), _MAX_TEXT_CHARS)


def is_chain(text: str) -> bool:
    """Tell whether the text is a traceback of Python, whose last words are what came of it."""
    return _TRACEBACK.search(text) is not None


def _tracebacks(text: str) -> list[str]:
    starts = []
    for found in _TRACEBACK.finditer(text):
        before = text[max(0, found.start() - 200) : found.start()].rstrip(" |\n+-")
        if not before.endswith(_CHAINED) and not _inside_group(text, found):
            starts.append(found.start())
    if len(starts) < 2:
        return [text] if starts else []
    cuts = [
        0,
        *(_back_to_log(text, before, start) for before, start in pairwise(starts)),
        len(text),
    ]
    return [text[begin:end] for begin, end in pairwise(cuts)]


def _inside_group(text: str, found: re.Match[str]) -> bool:
    """Tell whether it belongs to an exception group: its parts are indented below it."""
    return text[found.start() : found.start() + 4] in {"    ", "  | ", "  + "} and "|" in found[0]


def _back_to_log(text: str, before: int, start: int) -> int:
    """Give where the lines begin that were logged just before a traceback: they are about it, not the one above."""
    cut = start
    while cut > before:
        line_start = text.rfind("\n", before, cut - 1) + 1
        if line_start <= before or not _LOGGED.match(text[line_start : line_start + 40]):
            break
        cut = line_start
    return cut


def _headed(text: str) -> list[str]:
    """Cut at each line that names an error; what stands before the first one belongs to it."""
    starts: list[int] = []
    at, before = 0, ""
    for line in text.split("\n"):
        follows = before.endswith(_CHAINED) or line.startswith("Caused by")
        if len(starts) <= MAX_FAILURES and not follows and _HEAD.match(line[:600]):
            starts.append(at)
        at += len(line) + 1
        before = line.rstrip() or before
    cuts = [0, *starts[1:], len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]
