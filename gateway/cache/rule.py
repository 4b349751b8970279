"""Which calls the operator wants answered from the cache, as data. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.model.call import Call
from gateway.model.route import Route

DEPTH_MAX = 4
"""How deep a text may stand in the parts of a prompt; the protocols need two."""

_SPEAKERS = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRule:
    """One rule; a call is covered when everything that is named here is so.

    Attributes:
        provider: Its name, or a glob.
        endpoint: As in the log, or a glob.
        model: As asked for, or a glob.
        system_sha256: Hashes of system prompts (`system_text`), hexadecimal; empty for any or none.
        header: Names (lower case) and globs of values.
        match: Paths into the JSON body, names and indices joined by dots, and the value that must stand there.
        ttl_seconds: 0 for calls that the cache must leave alone.
        shared: One key's answers are given to the others.
    """

    name: str
    provider: str = "*"
    endpoint: str = "*"
    model: str = "*"
    system_sha256: tuple[str, ...] = ()
    header: tuple[tuple[bytes, str], ...] = ()
    match: tuple[tuple[str, object], ...] = ()
    ttl_seconds: float
    shared: bool = False

    def covers(self, call: Call, route: Route) -> bool:
        """Whether the rule is about a call."""
        named = (
            (route.provider.name, self.provider),
            (route.endpoint.name, self.endpoint),
            (route.model, self.model),
        )
        if not all(wanted == "*" or fnmatchcase(text, wanted) for text, wanted in named):
            return False
        if not all(fnmatchcase(call.header(name) or "", wanted) for name, wanted in self.header if name in call.index):
            return False
        if not all(name in call.index for name, _ in self.header):
            return False
        document = route.document or {}
        if not all(_is(found, wanted) for path, wanted in self.match for found in (_at(document, path),)):
            return False
        return not self.system_sha256 or system_sha256(document) in self.system_sha256


def system_sha256(document: dict[str, object] | None) -> str:
    """Give the SHA-256 of a request's system prompt in hexadecimal, empty when it has none."""
    text = system_text(document)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else ""


def system_text(document: dict[str, object] | None) -> str:
    """Give what a request tells the model before the conversation, in any of the protocols.

    Chat and Responses: messages of the roles ``system`` and ``developer``, and ``instructions``; Messages: ``system``;
    Gemini: ``systemInstruction``. Several parts are joined by line ends.
    """
    return "\n".join(_parts(document)) if document else ""


def _parts(document: dict[str, object]) -> Iterator[str]:
    for name in ("instructions", "system", "systemInstruction", "system_instruction"):
        yield from _texts(document.get(name))
    for name in ("messages", "input"):
        items = document.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(role := item.get("role"), str) and role in _SPEAKERS:
                yield from _texts(item.get("content"))


def _texts(node: object, depth: int = DEPTH_MAX) -> Iterator[str]:
    match node:
        case str():
            yield node
        case list() if depth:
            for item in node:
                yield from _texts(item.get("text") if isinstance(item, dict) else item, depth - 1)
        case dict() if depth:
            yield from _texts(node.get("parts", node.get("text")), depth - 1)


_NOWHERE = object()


def _at(node: object, path: str) -> object:
    for name in path.split("."):
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(node):
            node = node[int(name[:9])]
        else:
            return _NOWHERE
    return node


def _is(found: object, wanted: object) -> bool:
    """Whether two values are the same; ``true`` is not 1, while 1 is 1.0 as it is in a file."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return found == wanted
