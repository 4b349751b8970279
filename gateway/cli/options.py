"""Options that every verb has, and what they mean."""

import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway._discover import discover
from gateway.model.provider import Provider
from gateway.settings import Address, ConfigError, Problem, Resolved, parse_address, resolve
from gateway.settings.problems import nearest
from gateway.state import State, default_state_dir

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML (else WHYGATE_CONFIG, else none).")
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Where keys and the log are kept (else WHYGATE_STATE, else yours)."),
]
ListenOption = Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where apps reach it.")]


class Language(StrEnum):
    """What verdicts are said in, ISO 639-1."""

    ENGLISH = "en"
    CHINESE = "zh"
    ITALIAN = "it"


LangOption = Annotated[
    Language | None, typer.Option("--lang", envvar="WHYGATE_LANG", help="What verdicts are said in.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def open_state(path: Path | None, *, create: bool = True) -> State:
    """Open the state directory that was asked for, or the usual one."""
    return State.open(path.expanduser() if path else default_state_dir(), create=create)


def config_file(path: Path | None) -> Path | None:
    """Give the settings file in force, absolute, or None."""
    chosen = path or (Path(from_env) if (from_env := os.environ.get("WHYGATE_CONFIG")) else None)
    return chosen.expanduser().absolute() if chosen else None


def resolve_settings(config: Path | None, flags: Mapping[str, tuple[Any, str]] | None = None) -> Resolved:
    """Read the settings from file, environment and options.

    Raises:
        ConfigError: With all problems.
    """
    resolved = resolve(config_file(config), os.environ, flags)
    _check_rules(resolved)
    return resolved


def _check_rules(resolved: Resolved) -> None:
    """Refuse a rule for a provider that does not exist: it would silently do nothing."""
    settings = resolved.settings
    rules: dict[str, Sequence[Any]] = {
        "limits.rules": settings.limits.rules,
        "cache.rules": settings.cache.rules,
        "fallback": settings.fallback,
    }
    if not any(rules.values()):
        return
    built_in = [provider.name for provider in discover("gateway.providers", "PROVIDER", Provider).values()]
    known = sorted({*built_in, *(entry.name for entry in settings.providers)})
    problems = [
        Problem(
            source=resolved.origins[table],
            key=f"{table}[{number}].provider",
            given=repr(rule.provider),
            expected=f"a known provider ({', '.join(known)})",
            nearest=nearest(rule.provider, known),
        )
        for table, entries in rules.items()
        for number, rule in enumerate(entries)
        if not any(
            rule.provider == name or (table != "limits.rules" and fnmatchcase(name, rule.provider)) for name in known
        )
    ]
    if problems:
        raise ConfigError(problems)


def listen_address(text: str | None) -> Address | None:
    """Read ``--listen`` where it names a gateway.

    Raises:
        ConfigError: It is no address.
    """
    if text is None:
        return None
    try:
        return parse_address(text)
    except ValueError as exc:
        raise ConfigError([Problem(source="--listen", given=repr(text), expected=str(exc))]) from exc
