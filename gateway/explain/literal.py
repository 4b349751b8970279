"""A reader of values as programs print them: JSON, Python's repr, util.inspect of Node, Ruby's and Java's maps.

Tolerant, since what is pasted is often cut: what was read before the text ends is given. Total and bounded: it looks
at 256 KiB, 40 levels and 20 000 items at most.
"""

import re
from dataclasses import dataclass

import orjson

_WINDOW_CHARS = 256 * 1024
_MAX_DEPTH = 40
_MAX_ITEMS = 20_000
_CLOSING = {"{": "}", "[": "]", "(": ")"}
WORDS = "$words"
"""The name that an error's own words get among its properties."""

_SPACE = re.compile(r"\s*+")
_STRING = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*+){quote}", re.DOTALL) for quote in "'\"`"}
_STRING_PREFIX = re.compile(r"[bBuUrRfF]{1,2}+(?=['\"])")
_NUMBER = re.compile(r"-?\d{1,18}+(?:\.\d{1,18}+)?+(?:[eE][+-]?\d{1,3}+)?+n?+(?=\s|[,}\])]|$)")
_WORD = re.compile(r"[A-Za-z_$][\w$.]{0,120}+")
_WORD_ENDS = re.compile(r"\s{0,200}+(?:[,}\])]|$)")
_JOINED = re.compile(r"\s{0,80}+\+\s{0,200}+(?=['\"`])")
_KEY = re.compile(r":?+([\w$@.-]{1,120}+)\??+")
_SYMBOL_KEY = re.compile(r"\[([^\[\]\n]{1,120}+)\](?=\s{0,4}+:)")
_SEPARATOR = re.compile(r"\s{0,200}+(?:=>|:|=)\s{0,200}+")
_OPAQUE = re.compile(
    r"(?:\[(?:Object|Array|Getter|Setter|Circular|Function|AsyncFunction|class|Symbol|Date)\b[^\]\n]{0,200}+\]"
    r"|<(?:Buffer|Uint8Array|\w[\w.]{0,80}+ object at|[Cc]lass|function|bound method)\b[^>\n]{0,2000}+>)(?!\s?+\{)"
)
_PREFIX = re.compile(
    r"(?:(?:[A-Za-z_$][\w$.]{0,80}+|\[[A-Za-z][^\[\]\n{}]{0,80}+\]|\(\d{1,9}+\)|<ref \*\d{1,4}+>)[ ]{0,2}+){1,4}+"
    r"(?=[{\[(])"
)
_MEANINGS: dict[str, object] = {
    **dict.fromkeys(("None", "null", "undefined", "nil")),
    **dict.fromkeys(("True", "true"), True),
    **dict.fromkeys(("False", "false"), False),
}
_BARE = re.compile(r"[^,}\])\n]++")
_LINE = re.compile(r"[^\n]*+")
_STACK_LINE = re.compile(r"\n[ \t]*+at [^\n]*+")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}


def read_literal(text: str, start: int) -> tuple[object, int]:
    """Give the value that begins at ``start``, and where it ends."""
    reader = _Reader(text[start : start + _WINDOW_CHARS])
    value = reader.value()
    return value, start + max(1, reader.at)


def json_of(text: str) -> object:
    """Give the JSON document, None when the text is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def as_json(value: object) -> str:
    """Give a value as JSON text; empty when it cannot be one."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return ""


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    depth: int = 0
    items: int = 0

    def value(self) -> object:
        """Read one value of any kind."""
        self._skip()
        if self.at >= len(self.text):
            return None
        if prefix := _STRING_PREFIX.match(self.text, self.at):
            self.at = prefix.end()
        if self.text[self.at] in _STRING:
            return self._strings()
        for pattern in (_OPAQUE, _NUMBER):
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return found[0] if pattern is _OPAQUE else _number(found[0])
        return self._composed()

    def _composed(self) -> object:
        prefix = _PREFIX.match(self.text, self.at)
        opening = self.text[prefix.end() if prefix else self.at]
        if opening not in _CLOSING or self.depth >= _MAX_DEPTH:
            return self._bare()
        self.at = prefix.end() if prefix else self.at
        self.depth += 1
        value = self._mapping() if opening == "{" else self._list(_CLOSING[opening])
        self.depth -= 1
        if prefix and opening in "[(" and isinstance(value, list) and len(value) == 1:
            # `Headers([...])` and `Map(2) {...}` are what stands in them.
            return value[0]
        return value

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _more(self, closing: str) -> bool:
        """Tell whether another item comes; steps over commas and over the end."""
        while True:
            self._skip()
            self.items += 1
            if self.at >= len(self.text) or self.items > _MAX_ITEMS:
                self.at = len(self.text)
                return False
            char = self.text[self.at]
            if char == closing or char in "}])":
                self.at += char == closing
                return False
            if char not in ",;":
                return True
            self.at += 1

    def _mapping(self) -> dict[str, object]:
        found: dict[str, object] = {}
        self.at += 1
        while self._more("}"):
            before = self.at
            key = self._key()
            separator = _SEPARATOR.match(self.text, self.at) if key is not None else None
            if key is not None and separator:
                self.at = separator.end()
                found[key] = self.value()
            elif key is None:
                self.value()
            self.at = max(self.at, before + 1)
        return found

    def _key(self) -> str | None:
        if prefix := _STRING_PREFIX.match(self.text, self.at):
            self.at = prefix.end()
        char = self.text[self.at]
        if char in _STRING:
            return self._one_string(char)
        for pattern in (_SYMBOL_KEY, _KEY):
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return found[1]
        return None

    def _list(self, closing: str) -> list[object]:
        found: list[object] = []
        self.at += 1
        while self._more(closing):
            before = self.at
            found.append(self.value())
            self.at = max(self.at, before + 1)
        return found

    def _strings(self) -> str:
        """Read a string, and those added to it with ``+``: Node breaks long ones at their lines."""
        parts = [self._one_string(self.text[self.at])]
        while joined := _JOINED.match(self.text, self.at):
            self.at = joined.end()
            parts.append(self._one_string(self.text[self.at]))
        return "".join(parts)

    def _one_string(self, quote: str) -> str:
        found = _STRING[quote].match(self.text, self.at)
        raw = found[1] if found else self.text[self.at + 1 :]
        self.at = found.end() if found else len(self.text)
        return unescaped(raw)

    def _bare(self) -> object:
        """Read what is in no quotes: a word, or an error with its stack and its properties."""
        word = _WORD.match(self.text, self.at)
        if word and _WORD_ENDS.match(self.text, word.end()):
            self.at = word.end()
            return _MEANINGS.get(word[0], word[0])
        line = _LINE.match(self.text, self.at)
        end = line.end() if line else self.at
        if not _STACK_LINE.match(self.text, end) and not self.text[self.at : end].endswith(" {"):
            found = _BARE.match(self.text, self.at)
            begin, self.at = self.at, found.end() if found else self.at + 1
            return self.text[begin : self.at].strip()
        return self._error(end)

    def _error(self, end: int) -> dict[str, object]:
        words = self.text[self.at : end]
        while stack := _STACK_LINE.match(self.text, end):
            end = stack.end()
        last = self.text[self.at : end].rstrip(",")
        self.at = end
        found: dict[str, object] = {}
        if last.endswith("{") and self.depth < _MAX_DEPTH:
            self.at = end - 1
            self.depth += 1
            found = self._mapping()
            self.depth -= 1
        return {**found, WORDS: words.removesuffix("{").strip()}


def _number(text: str) -> object:
    try:
        return int(text.rstrip("n")) if text.lstrip("-").rstrip("n").isdecimal() else float(text.rstrip("n"))
    except ValueError:
        return text


def unescaped(text: str) -> str:
    """Give a string's content as it was before it was printed; a broken pair of surrogates is replaced."""
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_char, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _char(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3] or found[4]
    if digits:
        return chr(int(digits, 16)) if int(digits, 16) <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
    return _PLAIN_ESCAPES.get(found[5], found[5])
