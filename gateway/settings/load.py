"""From sources to Settings: later sources win key by key, and every problem is reported at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from gateway.settings.problems import ConfigError, MisfitError, Problem, nearest, shown
from gateway.settings.section import Section
from gateway.settings.sources import Path_, known_keys, read_environment, read_file
from gateway.settings.tree import Settings

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings, and for each dotted key where its value came from: ``default``, a file, a variable, an option."""

    settings: Settings
    origins: Mapping[str, str]


def load(config: Path | None, env: Mapping[str, str], flags: Mapping[str, tuple[Any, str]] | None = None) -> Settings:
    """Give the settings in force: defaults, then the file, then the environment, then options.

    Args:
        config: TOML file, None for none.
        env: The environment; only ``WHYGATE_SECTION__KEY`` is looked at.
        flags: Dotted key -> value and the option it was given with.

    Raises:
        ConfigError: With every problem in every source.
    """
    return resolve(config, env, flags).settings


def resolve(
    config: Path | None, env: Mapping[str, str], flags: Mapping[str, tuple[Any, str]] | None = None
) -> Resolved:
    """Do what `load` does, and say where each value came from."""
    from_file, problems = read_file(config) if config else ({}, [])
    from_env, more = read_environment(env)
    from_flags = {tuple(key.split(".")): value for key, value in (flags or {}).items()}
    given = {**from_file, **from_env, **from_flags}
    problems += more
    settings = None
    try:
        settings = Settings.model_validate(_nested(given))
    except ValidationError as exc:
        problems += [_problem(dict(error), given) for error in exc.errors(include_url=False)]
    if problems or settings is None:
        raise ConfigError(problems)
    origins = {".".join(key): given[key][1] if key in given else DEFAULT for key in known_keys()}
    return Resolved(settings, origins)


def _nested(given: Mapping[Path_, tuple[Any, str]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, (value, _) in sorted(given.items()):
        if len(key) == 1:
            document[key[0]] = value
        elif isinstance(document.setdefault(key[0], {}), dict):
            document[key[0]][key[1]] = value
    return document


def _problem(error: dict[str, Any], given: Mapping[Path_, tuple[Any, str]]) -> Problem:
    """Turn one of pydantic's errors into a sentence of ours."""
    parts: tuple[str | int, ...] = error["loc"]
    misfit = error.get("ctx", {}).get("error")
    if isinstance(misfit, MisfitError):
        for name in misfit.key.split("."):
            parts = (*parts, name)
            error["input"] = error["input"].get(name) if isinstance(error["input"], Mapping) else None
    names = tuple(str(part) for part in parts)
    source = next((given[names[:n]][1] for n in range(len(names), 0, -1) if names[:n] in given), None)
    if source is None:
        inside = [value[1] for key, value in given.items() if key[: len(names)] == names]
        source = ", ".join(dict.fromkeys(inside)) or "settings"
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    if error["type"] == "extra_forbidden":
        known = _siblings(parts)
        name = str(parts[-1])
        return Problem(
            source=source,
            key=key,
            given=shown(name, error["input"]),
            expected=f"a known key ({', '.join(known)})",
            nearest=nearest(name, known),
        )
    whole = error["type"] in {"missing", "value_error"} and isinstance(error["input"], Mapping | Section)
    name = str(next((part for part in reversed(parts) if isinstance(part, str)), ""))
    return Problem(
        source=source, key=key, given="" if whole else shown(name, error["input"]), expected=_expected(error)
    )


def _siblings(parts: Sequence[str | int]) -> list[str]:
    """Give the keys that are known in the table that holds ``parts[-1]``."""
    table: type[Section] = Settings
    for part in parts[:-1]:
        if isinstance(part, str):
            kind = table.model_fields[part].annotation
            found = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, Section)]
            table = found[0] if found else table
    return list(table.model_fields)


_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "missing": "a value (this key is required)",
    "value_error": "{error}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "greater_than": "more than {gt}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} characters",
    "too_long": "at most {max_length} characters",
}
"""pydantic's kinds of error -> what should have stood there."""


def _expected(error: dict[str, Any]) -> str:
    template = _EXPECTED.get(error["type"])
    return template.format(**error.get("ctx", {})) if template else str(error["msg"])
