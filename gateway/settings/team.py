"""Settings of a team: what several gateways share."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from gateway.settings.section import Section, setting


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
    secret_file: Path | None = setting(
        None,
        "A file with 32 bytes or more that all gateways of the team have: fingerprints of keys are made with it, and"
        " what is kept in Redis is sealed with it. Without one, the first gateway makes a secret and leaves it in"
        " Redis, where whoever reads it could forge an answer.",
        unit="path",
        example='"/run/secrets/whygate"',
        strict=False,
    )
