"""The settings of the cache."""

from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from gateway.settings.problems import MisfitError
from gateway.settings.section import MIB, Section, setting

Scalar = str | int | float | bool
Sha256 = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")]
HeaderName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
RuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]

_NEVER = frozenset(
    {"files", "uploads", "batches", "fine_tuning.jobs", "vector_stores", "assistants", "threads", "conversations"}
)


class CacheRule(Section):
    """Further calls whose answers are given again: all that is named must be so; the first rule that fits counts."""

    name: RuleName = setting(
        ..., "What the rule is called in the log and by `whygate cache`.", unit="text", example='"classifier"'
    )
    provider: str = setting("*", "Which provider: the name that stands in the log.", unit="glob", min_length=1)
    endpoint: str = setting(
        "*",
        "Which kind of call, as the log names it: chat.completions, responses, messages, ... Images and speech"
        " (images.generations, audio.speech) only when they are named here.",
        unit="glob",
        min_length=1,
    )
    model: str = setting("*", "Which models, as the app asks for them.", unit="glob", min_length=1)
    system_sha256: tuple[Sha256, ...] = setting(
        (),
        "Only calls with one of these system prompts: the SHA-256 of its text (`whygate cache suggest` prints it)."
        " Empty means any, or none.",
        unit="list of 64 hexadecimal digits",
        strict=False,
    )
    header: dict[HeaderName, str] = setting(
        {},
        "Only calls that carry these request headers; a value may be a glob.",
        unit="table of name and glob",
        example='{ "x-job" = "nightly-*" }',
    )
    match: dict[str, Scalar] = setting(
        {},
        "Only calls whose JSON body has these values: the path is made of names and indices, joined by dots.",
        unit="table of path and value",
        example='{ "metadata.task" = "classify", "messages.0.role" = "system" }',
    )
    ttl_seconds: int = setting(
        3_600, "How long an answer may be given again; 0 keeps such calls out of the cache.", unit="seconds", ge=0
    )
    shared: bool = setting(
        False,  # noqa: FBT003
        "Give one key's answers to every other key that the provider accepts. Only where everybody may read what"
        " anybody asks: who holds some key can then find out what was answered to another.",
        unit="true or false",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.endpoint in _NEVER:
            raise MisfitError(
                "endpoint", "a call that only answers: what keeps something at the provider is never cached"
            )
        if any(not part for path in self.match for part in path.split(".")):
            raise MisfitError("match", "paths like metadata.task or messages.0.role")
        return self


class Cache(Section):
    """Answers that are given again without asking the provider."""

    enabled: bool = setting(
        True,  # noqa: FBT003
        "Answer again what was answered before, for the same key: embeddings, moderations, prompts with an explicit"
        " temperature of 0, and what the rules below cover.",
        unit="true or false",
    )
    backend: Literal["auto", "sqlite", "memory", "redis"] = setting(
        "auto",
        "Where answers are kept: in a file of the state directory, readable by you alone, which survives restarts, in"
        " memory, or in [team] redis, where every gateway with the same secret finds them. auto takes Redis where one"
        " is set, else the file, and memory where others reach the gateway or there are tenants.",
        unit='"auto", "sqlite", "memory" or "redis"',
    )
    ttl_seconds: int = setting(
        3_600,
        "How long an answer may be given again by the built-in rule. An hour covers a working session and still"
        " notices tomorrow's model.",
        unit="seconds",
        ge=1,
    )
    stale_if_error_seconds: int = setting(
        86_400,
        "How long behind its time an answer may still be given when the provider cannot be reached or fails, marked"
        " as stale. A day bridges an outage. It never stands in for a refused key. 0 turns it off.",
        unit="seconds",
        ge=0,
    )
    max_bytes: int = setting(
        128 * MIB,
        "How much room stored answers may take, in Redis those of all gateways together; those unused for longest go"
        " first.",
        unit="bytes",
        ge=MIB,
    )
    rules: tuple[CacheRule, ...] = setting(
        (), "Further calls whose answers are given again.", unit="tables", strict=False
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MisfitError("rules", f"a name of its own for each rule (twice: {', '.join(twice)})")
        return self


def check_backend(cache: Cache, *, has_redis: bool) -> None:
    """Raise MisfitError when answers shall be kept where there is nothing."""
    if cache.backend == "redis" and not has_redis:
        raise MisfitError(
            "cache.backend", 'another one ("auto"), or the address of a Redis as [team] redis (WHYGATE_TEAM__REDIS)'
        )
