"""Where values come from: a TOML file, the environment, options of the command line. Reads, does not judge values."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from gateway.settings.problems import Problem, nearest
from gateway.settings.section import Section
from gateway.settings.tree import Settings

PREFIX = "WHYGATE_"
NOT_SETTINGS = ("WHYGATE_STATE", "WHYGATE_CONFIG")
"""Variables of ours that name a place, not a setting."""
_TEST_PREFIX = "WHYGATE_TEST_"
_WORDS_OF_BOOL = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}

type Path_ = tuple[str, ...]
type Read = tuple[dict[Path_, tuple[Any, str]], list[Problem]]
"""Values by key, each with the name of its source; and what could not be read."""


def known_keys() -> dict[Path_, Any]:
    """Give every key that can be set from the environment, with its type: ``("limits", "rules")`` but not below."""
    keys: dict[Path_, Any] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            keys.update({(name, k): f.annotation for k, f in field.annotation.model_fields.items()})
        else:
            keys[name,] = field.annotation
    return keys


def variable(key: Path_) -> str:
    """Give the environment variable of a key: ``WHYGATE_LIMITS__QUEUE_MAX``."""
    return PREFIX + "__".join(key).upper()


def read_file(path: Path) -> Read:
    """Read a TOML file into keys; a file that cannot be read or parsed is one problem."""
    source = str(path)
    try:
        # utf-8-sig: an editor on Windows may have put a byte order mark in front, which TOML does not allow.
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        return {}, [Problem(source=source, expected=f"a readable file ({exc.strerror})")]
    except UnicodeDecodeError as exc:
        return {}, [Problem(source=source, expected=f"UTF-8 text (byte {exc.start} is not)")]
    except tomllib.TOMLDecodeError as exc:
        return {}, [_syntax_problem(path, str(exc))]
    values: dict[Path_, tuple[Any, str]] = {}
    for name, value in document.items():
        if isinstance(value, dict) and value:
            values.update({(name, key): (inner, source) for key, inner in value.items()})
        else:
            values[name,] = (value, source)
    return values, []


def _syntax_problem(path: Path, message: str) -> Problem:
    at = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = None
    if at:
        message = message[: at.start()]
        line = int(at[1]) if at[1] else len(path.read_text(encoding="utf-8-sig").splitlines())
    return Problem(source=str(path), line=line, expected=f"TOML ({message[:1].lower()}{message[1:]})")


def read_environment(env: Mapping[str, str]) -> Read:
    """Read ``WHYGATE_SECTION__KEY`` variables. An empty one counts as not set, as compose files write them."""
    keys = {variable(key): (key, kind) for key, kind in known_keys().items()}
    values: dict[Path_, tuple[Any, str]] = {}
    problems: list[Problem] = []
    for name, text in sorted(env.items()):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or name.startswith(_TEST_PREFIX) or not text:
            continue
        if name in keys:
            key, kind = keys[name]
            values[key] = (_decoded(text, kind), name)
        elif _looks_like_a_setting(name):
            expected = "the name of a setting, WHYGATE_SECTION__KEY with two underscores"
            problems.append(Problem(source=name, expected=expected, nearest=nearest(name, list(keys))))
    return values, problems


def _looks_like_a_setting(name: str) -> bool:
    """Whether ignoring this variable would hide a mistake: it has a separator, or begins like a section."""
    rest = name.removeprefix(PREFIX)
    return "__" in rest or rest.partition("_")[0].lower() in Settings.model_fields


def _decoded(text: str, kind: Any) -> Any:
    """Turn text into the type of its key; text that does not fit stays text, and validation says so."""
    kinds = set(_members(kind))
    if bool in kinds:
        return _WORDS_OF_BOOL.get(text.strip().lower(), text)
    with suppress(ValueError):
        if number := next((number for number in (int, float) if number in kinds), None):
            return number(text)
        if get_origin(kind) is tuple and text.lstrip().startswith("["):
            return json.loads(text)
    of_tables = any(isinstance(item, type) and issubclass(item, Section) for item in get_args(kind))
    if get_origin(kind) is tuple and not of_tables:
        return [part.strip() for part in text.split(",")]
    return text


def _members(kind: Any) -> Iterator[Any]:
    """Give the alternatives of a union, or the type itself."""
    if get_origin(kind) in {Union, UnionType}:
        for member in get_args(kind):
            yield from _members(member)
    else:
        yield kind
