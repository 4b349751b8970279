"""Settings of a team: what several gateways share."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, model_validator

from gateway.settings.problems import MisfitError
from gateway.settings.section import Section, setting
from gateway.settings.tenants import TenantEntry

TENANTS_MAX = 500


def _redis(value: SecretStr) -> SecretStr:
    """Check an address now; the message never shows its password."""
    try:
        parts = urlsplit(value.get_secret_value())
        _ = parts.port
        found = {"unix": parts.path, "redis": parts.hostname, "rediss": parts.hostname}.get(parts.scheme)
    except ValueError:
        found = None
    if not found:
        message = "an address like redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6379/0 or unix:///PATH"
        raise ValueError(message)
    return value


RedisAddress = Annotated[SecretStr, AfterValidator(_redis)]


class Team(Section):
    """One gateway for many people, and many gateways for one limit."""

    redis: RedisAddress | None = setting(
        None,
        "Where the gateways of one account meet: limits are counted, and answers kept, in this Redis or Valkey. None"
        " by default, because one gateway needs none. While it cannot be reached, each gateway keeps to its share.",
        unit="redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, unix://PATH",
        example='"redis://127.0.0.1:6379/0"',
    )
    redis_prefix: str = setting(
        "whygate:",
        "Begins the name of everything that is kept there, so that others can use the same server.",
        unit="text",
        min_length=1,
        max_length=64,
    )
    replicas: int = setting(
        1,
        "How many gateways share that Redis, as far as it is known before they have met there. Only for the time in"
        " which Redis cannot be reached from the start: each then keeps to a limit divided by so many.",
        unit="gateways",
        ge=1,
        le=1_000,
    )
    secret_file: Path | None = setting(
        None,
        "A file with 32 bytes or more that all gateways of the team have: fingerprints of keys are made with it, and"
        " what is kept in Redis is sealed with it. Without one, the first gateway makes a secret and leaves it in"
        " Redis, where whoever reads it could forge an answer.",
        unit="path",
        example='"/run/secrets/whygate"',
        strict=False,
    )
    prices_file: Path | None = setting(
        None,
        "What models cost, instead of the table that comes with the gateway: a CSV file with the same columns"
        " (provider, model, input_usd, output_usd, source, read; US dollars per million tokens; the first that"
        " fits counts).",
        unit="path",
        example='"/etc/whygate/prices.csv"',
        strict=False,
    )
    tenants: tuple[TenantEntry, ...] = setting(
        (), "Who uses the gateway, each with a credential of its own.", unit="tables", strict=False
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [entry.name for entry in self.tenants]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MisfitError("tenants", f"a name of its own for each tenant (twice: {', '.join(twice)})")
        if len(names) > TENANTS_MAX:
            raise MisfitError("tenants", f"{TENANTS_MAX} tenants at most")
        return self
