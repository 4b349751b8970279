"""What may leave this machine: texts are cleaned first, and then looked at byte by byte before they are handed over.

Cleaning strikes out what is shaped like a credential, and puts ``~`` for the person's home directory and name. The scan
trusts none of that. It looks for the same shapes again, and for secrets of this machine word for word, also in the
forms that JSON, a URL and Base64 give them. It says where and of what kind, never what. Pure.
"""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

from gateway.model.secret import MIN_SECRET_CHARS, scrub
from gateway.record.har import URL_SAFE

HOME = "~"
SHAPE, DIRECTORY, NAME = "text shaped like a credential", "home directory", "user name"
_SECRET_NAME = re.compile(r"API_?KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)
_COMMON_NAMES = frozenset({
    "admin", "administrator", "app", "build", "ci", "client", "default", "dev", "docker", "guest", "host", "http",
    "https", "key", "local", "node", "null", "openai", "owner", "python", "root", "runner", "server", "service",
    "staff", "system", "test", "tester", "ubuntu", "user", "users", "vagrant", "whygate", "www",
})  # fmt: skip
"""User names that are words of every log, and name nobody."""
_MIN_NAME_CHARS = 3
_ROUNDS_MAX = 8
_REMEMBERED_CHARS, _REMEMBERED_MAX = 256, 20_000
"""Of texts that were cleaned already: most of a log are the same few words."""
_ENDS = re.compile(r'(?<=\n)|(?<=",)')
"""Where no credential can stand, as in `gateway.model.secret.pieces`."""
_APART = '\n"\n'
"""Put between pieces that did not stand side by side: no shape goes across."""


class Known(NamedTuple):
    """A secret of this machine.

    Attributes:
        kind: What it is, in words that may be shown.
    """

    kind: str
    value: bytes


class Leak(NamedTuple):
    """Something that must not leave: in which file, and of what kind."""

    file: str
    kind: str


class Cleaner:
    """Cleans texts of one person's machine, and counts what it took out.

    Args:
        home: The person's home directory, empty when there is none.
        user: The person's user name.
    """

    def __init__(self, home: str, user: str) -> None:
        self.removed: Counter[str] = Counter()
        """How many texts lost something, by kind."""
        self._seen: dict[str, tuple[str, set[str]]] = {}
        self._home = directory_pattern(home)
        usable = len(user) >= _MIN_NAME_CHARS and user.lower() not in _COMMON_NAMES
        # Alone, not as a part of a host's name or of a longer word.
        self._user = re.compile(rf"(?<![\w.@-]){re.escape(user)}(?![\w-]|\.\w)") if usable else None

    def clean(self, value: Any) -> Any:
        """Give a JSON-like value with every text in it cleaned; the names of fields stay, tuples become lists."""
        match value:
            case str():
                return self.text(str(value))
            case Mapping():
                return {name: self.clean(item) for name, item in value.items()}
            case list() | tuple():
                return [self.clean(item) for item in value]
            case _:
                return value

    def text(self, text: str) -> str:
        """Give a text, cleaned."""
        known = self._seen.get(text)
        if known is None:
            known = self._cleaned(text)
            if len(text) <= _REMEMBERED_CHARS and len(self._seen) < _REMEMBERED_MAX:
                self._seen[text] = known
        self.removed.update(known[1])
        return known[0]

    def _cleaned(self, text: str) -> tuple[str, set[str]]:
        """Clean a text. What was taken out may lay open what stood beside it, so it is done until all is."""
        kinds: set[str] = set()
        for _ in range(_ROUNDS_MAX):
            before, text = text, scrub(text)
            if text != before:
                kinds.add(SHAPE)
            for kind, pattern in ((DIRECTORY, self._home), (NAME, self._user)):
                if pattern is not None and pattern.search(text):
                    text = pattern.sub(HOME, text)
                    kinds.add(kind)
            if text == before:
                break
        return text, kinds


def directory_pattern(home: str) -> re.Pattern[str] | None:
    """Give what finds a directory in a text; None for one that says nothing about anybody."""
    home = home.rstrip("/")
    return re.compile(rf"(?<![\w.-]){re.escape(home)}(?![\w-])") if home.count("/") and len(home) > 1 else None


def secrets_of(env: Mapping[str, str]) -> list[Known]:
    """Give the values of variables whose names say that they are secret."""
    named = ((name, value.strip()) for name, value in env.items() if _SECRET_NAME.search(name))
    return [
        Known(f"value of the environment variable {name}", value.encode("utf-8", "surrogateescape"))
        for name, value in named
        if len(value) >= MIN_SECRET_CHARS
    ]


def find(files: Mapping[str, bytes], known: Iterable[Known], home: str = "") -> list[Leak]:
    """Give what must not leave, at most one of a kind in a file.

    Args:
        files: By name; names are looked at as well.
        known: Secrets of fewer than 8 bytes are passed over: they stand everywhere by chance.
        home: The person's home directory.
    """
    wanted = [(one.kind, form) for one in known if len(one.value) >= MIN_SECRET_CHARS for form in _forms(one.value)]
    directory = directory_pattern(home)
    found: dict[Leak, None] = {}
    for name, data in files.items():
        both = name.encode("utf-8", "replace") + b"\n" + data
        found.update({Leak(name, kind): None for kind, form in wanted if form in both})
        text = both.decode("utf-8", "replace")
        # Of what a log repeats, once is enough: this is the slow part.
        distinct = _APART.join(dict.fromkeys(_ENDS.split(text)))
        if scrub(distinct) != distinct:
            found[Leak(name, SHAPE)] = None
        if directory is not None and directory.search(text):
            found[Leak(name, DIRECTORY)] = None
    return list(found)


def _forms(value: bytes) -> set[bytes]:
    """Give the forms in which a text can stand in a file: as it is, in a URL, in JSON, in JSON in JSON, in Python."""
    forms = {value, b64encode(value).rstrip(b"="), value.hex().encode()}
    forms |= {quote(value, safe=safe).encode() for safe in ("", URL_SAFE)}
    with suppress(UnicodeError):
        text = value.decode()
        forms.add(ascii(text)[1:-1].encode())
        for ascii_only in (True, False):
            once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
            forms |= {once.encode(), json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode()}
    return forms
