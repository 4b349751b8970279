"""Settings of those who share one gateway."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from gateway.settings.pacing import LimitRule
from gateway.settings.problems import MisfitError
from gateway.settings.section import Section, setting

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=200)]
KEY_PLACES = ("env:", "file:")


class TenantBudget(Section):
    """What a tenant may use in one day, from midnight to midnight UTC."""

    requests_per_day: int | None = setting(None, "Calls.", unit="calls", example="1_000", ge=0)
    tokens_per_day: int | None = setting(None, "Question and answer.", unit="tokens", example="2_000_000", ge=0)
    dollars_per_day: float | None = setting(
        None, "By the table of prices.", unit="US dollars", example="5.0", ge=0, allow_inf_nan=False
    )


class TenantEntry(Section):
    """Somebody of a team: a credential of its own, and what it may do. With tenants, every app needs a credential."""

    name: TenantName = setting(
        ...,
        'What it is called in the log and on the page. "default" is whoever presents [listen] token.',
        unit="lower-case letters, digits, - and _, 64 at most",
        example='"research"',
    )
    token_env: Variable | None = setting(
        None,
        "The environment variable that holds its token, 16 to 256 letters, digits, - . _ ~, which apps present as they"
        " would [listen] token. It never stands in this file.",
        unit="name of a variable",
        example='"RESEARCH_TOKEN"',
    )
    token_file: Path | None = setting(
        None,
        "Instead: a file that holds the token. White space at its end does not count.",
        unit="path",
        example='"/run/secrets/research-token"',
        strict=False,
    )
    admin: bool = setting(
        False,  # noqa: FBT003
        "Its token opens the page to everything, as [page] token does. Without it, the page shows its own calls alone.",
        unit="true or false",
    )
    providers: tuple[Glob, ...] = setting(
        ("*",), "Providers that it may ask.", unit="list of globs", example='["openai", "anthropic"]', strict=False
    )
    models: tuple[Glob, ...] = setting(
        ("*",),
        "Models that it may ask for, as its apps name them. With such a list, a call that changes something and names"
        " no model that can be read (uploads, batches) is refused, too.",
        unit="list of globs",
        example='["gpt-4o-mini*", "claude-haiku-*"]',
        strict=False,
    )
    share: float = setting(
        1.0,
        "Its weight where several wait for one limit: with 2 it gets twice as much as a tenant with 1.",
        unit="a number",
        gt=0,
        le=1_000,
        allow_inf_nan=False,
    )
    rules: tuple[LimitRule, ...] = setting(
        (),
        "Limits of its own, as in [[limits.rules]], over all keys that it uses.",
        unit="list of tables",
        example='[{ provider = "openai", rpm = 60 }]',
        strict=False,
    )
    budget: TenantBudget = setting(
        TenantBudget(),
        "What it may use in one day of UTC: requests_per_day, tokens_per_day, dollars_per_day. An estimate is taken off"
        " before a call and corrected by what the provider counts; an answer from the cache counts as a request alone.",
        unit="table",
        example="{ requests_per_day = 1_000, dollars_per_day = 5.0 }",
    )
    key_from: dict[str, str] = setting(
        {},
        "Keys that its calls go out with, so that its apps need none: whatever key an app sends is dropped.",
        unit='table of a provider\'s name and "env:VARIABLE" or "file:PATH"',
        example='{ openai = "env:OPENAI_API_KEY", anthropic = "file:/run/secrets/anthropic" }',
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.name == "default":
            raise MisfitError("name", 'another name: "default" is whoever presents [listen] token')
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError("exactly one of token_env, token_file")
        for key in ("providers", "models"):
            if not getattr(self, key):
                raise MisfitError(key, "at least one glob, or the key left out for all")
        if any(not place.startswith(KEY_PLACES) or place in KEY_PLACES for place in self.key_from.values()):
            raise MisfitError(
                "key_from", 'places of keys like "env:OPENAI_API_KEY" or "file:/run/secrets/openai", never a key itself'
            )
        return self
