"""From settings to tenants: their tokens and keys are read here, once, at the start.

A token or key that is missing is a mistake of the configuration, like any other: all of them are told at once, and none
is shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway._discover import discover
from gateway.limit.gate import LimitRule
from gateway.model.provider import Provider
from gateway.model.tenant import DEFAULT, Budget, Tenant
from gateway.prices import Price, TableError, read_table
from gateway.settings import ConfigError, Problem, Settings
from gateway.settings import LimitRule as SettingsRule
from gateway.settings.problems import nearest
from gateway.settings.tenants import TenantBudget, TenantEntry

TOKEN_MIN, TOKEN_MAX = 16, 256
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")
"""RFC 3986 section 2.3: it stands in addresses."""

_KEY = re.compile(r"[!-~]{1,4096}")
_FILE_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Who uses a gateway.

    Attributes:
        tokens: Tenant's name -> what its apps present, the listener's own token among them. Empty where nobody needs
            one.
        rules: Tenant's name -> limits of its own.
        prices: A table of one's own, None for the one that ships with the program.
    """

    tenants: tuple[Tenant, ...] = ()
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    rules: Mapping[str, tuple[LimitRule, ...]] = field(default_factory=dict)
    prices: tuple[Price, ...] | None = None

    @property
    def readers(self) -> dict[str, tuple[str, bool]]:
        """Give who may open the page: name -> token, and whether it sees everything."""
        return {one.name: (self.tokens[one.name], one.admin) for one in self.tenants}


def team_of(settings: Settings, env: Mapping[str, str], source: str = "settings") -> Team:
    """Read what the settings name.

    Args:
        source: Where they stand, for the problems.

    Raises:
        ConfigError: With every problem.
    """
    problems: list[Problem] = []
    listed = settings.team.tenants
    tokens = {DEFAULT: settings.listen.secret} if settings.listen.secret else {}
    known = _known(settings) if listed else []
    taken = {settings.listen.secret: "[listen] token", settings.page.secret: "[page] token"}
    tenants = []
    for number, entry in enumerate(listed):
        place = f"team.tenants[{number}]"
        token = _token(entry, place, env, problems)
        if token is not None and (other := taken.get(token)):
            problems.append(_problem(f"{place}.{_which(entry)}", f"a token of its own (it is that of {other}, too)"))
        if token is not None:
            tokens[entry.name] = token
            taken.setdefault(token, f"the tenant {entry.name}")
        _check_rules(entry, place, known, problems)
        tenants.append(_tenant(entry, _keys(entry, place, known, env, problems)))
    prices = _prices(settings, problems)
    if problems:
        raise ConfigError([replace(problem, source=source) for problem in problems])
    rules = {entry.name: limit_rules(entry.rules) for entry in listed}
    return Team(tenants=tuple(tenants), tokens=tokens, rules=rules, prices=prices)


def _tenant(entry: TenantEntry, keys: Mapping[str, bytes]) -> Tenant:
    return Tenant(
        name=entry.name,
        admin=entry.admin,
        providers=entry.providers,
        models=entry.models,
        share=entry.share,
        budget=_budget(entry.budget),
        keys=keys,
    )


def _budget(given: TenantBudget) -> Budget:
    return Budget(requests=given.requests_per_day, tokens=given.tokens_per_day, dollars=given.dollars_per_day)


def _token(entry: TenantEntry, place: str, env: Mapping[str, str], problems: list[Problem]) -> str | None:
    key = f"{place}.{_which(entry)}"
    if entry.token_env is not None:
        found = _of_env(entry.token_env, key, env, problems)
    else:
        assert entry.token_file is not None
        found = _of_file(entry.token_file, key, problems)
    if found is None:
        return None
    if not (TOKEN_MIN <= len(found) <= TOKEN_MAX and _TOKEN.fullmatch(found)):
        problems.append(
            _problem(
                key,
                f"a token of {TOKEN_MIN} to {TOKEN_MAX} letters, digits, and - . _ ~ there, since it stands in"
                f" addresses (openssl rand -hex 24 makes a good one; this one has {len(found)} characters)",
            )
        )
        return None
    return found


def _which(entry: TenantEntry) -> str:
    return "token_env" if entry.token_env is not None else "token_file"


def _keys(
    entry: TenantEntry, place: str, known: list[str], env: Mapping[str, str], problems: list[Problem]
) -> dict[str, bytes]:
    found = {}
    for provider, where in entry.key_from.items():
        key = f"{place}.key_from.{provider}"
        if provider not in known:
            problems.append(_unknown(key, provider, known))
        kind, _, rest = where.partition(":")
        text = _of_env(rest, key, env, problems) if kind == "env" else _of_file(Path(rest), key, problems)
        if text is None:
            continue
        if not _KEY.fullmatch(text):
            problems.append(_problem(key, "a key on one line there, without blanks and in ASCII"))
            continue
        found[provider] = text.encode()
    return found


def _of_env(name: str, key: str, env: Mapping[str, str], problems: list[Problem]) -> str | None:
    text = env.get(name, "").rstrip()
    if text:
        return text
    state = "is empty" if name in env else "is not set"
    # Somebody may have put the secret itself in the place of the variable's name.
    shown = name if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) else "the one that is named"
    problems.append(_problem(key, f"an environment variable that holds it ({shown} {state})"))
    return None


def _of_file(path: Path, key: str, problems: list[Problem]) -> str | None:
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(_FILE_BYTES_MAX).decode("ascii", "replace").rstrip()
    except OSError as error:
        problems.append(_problem(key, f"a file that can be read ({path}: {error.strerror or type(error).__name__})"))
        return None
    if not text:
        problems.append(_problem(key, f"a file that holds it ({path} is empty)"))
    return text or None


def _check_rules(entry: TenantEntry, place: str, known: list[str], problems: list[Problem]) -> None:
    """Refuse a rule for a provider that does not exist: it would silently do nothing."""
    problems += [
        _unknown(f"{place}.rules[{number}].provider", rule.provider, known)
        for number, rule in enumerate(entry.rules)
        if rule.provider not in known
    ]


def _prices(settings: Settings, problems: list[Problem]) -> tuple[Price, ...] | None:
    file = settings.team.prices_file
    if file is None:
        return None
    try:
        return read_table(file)
    except TableError as error:
        problems.append(
            Problem(source="", key="team.prices_file", given=repr(str(file)), expected=f"a table of prices: {error}")
        )
        return None


def _known(settings: Settings) -> list[str]:
    built_in = [provider.name for provider in discover("gateway.providers", "PROVIDER", Provider).values()]
    return sorted({*built_in, *(entry.name for entry in settings.providers)})


def _unknown(key: str, name: str, known: list[str]) -> Problem:
    return Problem(
        source="",
        key=key,
        given=repr(name[:80]),
        expected=f"a known provider ({', '.join(known)})",
        nearest=nearest(name, known),
    )


def _problem(key: str, expected: str) -> Problem:
    return Problem(source="", key=key, expected=expected)


def limit_rules(given: tuple[SettingsRule, ...]) -> tuple[LimitRule, ...]:
    """Give limits as the gate has them."""
    return tuple(
        LimitRule(
            provider=rule.provider,
            model=rule.model,
            per_second=rule.per_second,
            per_minute=rule.rpm,
            per_hour=rule.rph,
            per_day=rule.rpd,
            tokens_per_minute=rule.tpm,
            tokens_per_day=rule.tpd,
            concurrency=rule.concurrency,
            burst=rule.burst,
            together=rule.together,
        )
        for rule in given
    )
