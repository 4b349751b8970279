"""A command of curl, as it stands above what it printed: it tells the request."""

import re
from collections.abc import Iterator

from gateway.explain.raw_http import model_in
from gateway.explain.seen import Seen

_MAX_COMMAND_CHARS = 64 * 1024
_BEGINS = re.compile(r"(?:[^\n]{0,60}?[$%#>❯➜] {1,2})?curl(?:\.exe)?[ \t]")
_PART = re.compile(
    r"'(?P<hard>[^']*+)'|\"(?P<soft>(?:[^\"\\]|\\.)*+)\"|\\(?P<one>.)|(?P<bare>[^\s'\"\\]++)|(?P<space>[ \t]++)",
    re.DOTALL,
)
_SOFT_ESCAPE = re.compile(r'\\(["\\$`])')
_WITH_VALUE = {
    **dict.fromkeys(("-X", "--request"), "method"),
    **dict.fromkeys(("-H", "--header"), "header"),
    **dict.fromkeys(("-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"), "data"),
    "--url": "url",
    **dict.fromkeys(("-u", "--user", "-o", "--output", "-x", "--proxy", "-A", "--user-agent", "-m", "--max-time"), ""),
    **dict.fromkeys(
        ("-b", "--cookie", "-F", "--form", "--resolve", "--cacert", "--connect-timeout", "--retry", "-w"), ""
    ),
}


def command(text: str) -> tuple[Seen, str] | None:
    """Give the request of the command that the text begins with, and what stands below it; None when there is none."""
    begins = _BEGINS.match(text)
    if not begins:
        return None
    words, end = _words(text[: begins.end() + _MAX_COMMAND_CHARS], begins.end())
    asked = _asked(words)
    url = next((word for kind, word in asked if kind == "url" and re.match(r"[\w.$-]++(?:[:/?]|$)", word)), "")
    if not re.search(r"[./:]", url):
        return None
    data = "&".join(word for kind, word in asked if kind == "data")
    headers = (word.partition(":") for kind, word in asked if kind == "header")
    method = next((word for kind, word in asked if kind == "method"), "POST" if data else "GET")
    seen = Seen(
        method=method,
        url=url if "://" in url else f"http://{url}",
        model=model_in(data),
        request_headers=tuple((name, value.strip()) for name, mark, value in headers if mark),
        request_body=data,
    )
    return seen, text[end:].strip()


def _words(text: str, at: int) -> tuple[list[str], int]:
    """Cut the command into its words, as a shell does; it ends with its line."""
    words, current, begun = [], "", False
    while found := _PART.match(text, at):
        at = found.end()
        if found["space"] is not None or found["one"] == "\n":
            if begun:
                words.append(current)
            current, begun = "", False
            continue
        if found["bare"] in {"|", ";", "&&", "2>&1"}:
            break
        soft = found["soft"]
        plain = found["hard"] or found["one"] or found["bare"] or ""
        current += plain if soft is None else _SOFT_ESCAPE.sub(r"\1", soft)
        begun = True
    if begun:
        words.append(current)
    rest = text.find("\n", at)
    return words, rest if rest >= 0 else len(text)


def _asked(words: list[str]) -> list[tuple[str, str]]:
    return list(_pairs(iter(words)))


def _pairs(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        if word in _WITH_VALUE:
            yield _WITH_VALUE[word], next(words, "")
        elif word[:2] in {"-X", "-H", "-d"} and len(word) > 2:
            yield _WITH_VALUE[word[:2]], word[2:]
        elif not word.startswith("-"):
            yield "url", word
