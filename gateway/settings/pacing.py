"""The settings of limits and retries."""

from typing import Self

from pydantic import model_validator

from gateway.settings.problems import MisfitError
from gateway.settings.section import MIB, Section, setting
from gateway.settings.values import EditedRoute, ProviderName


class LimitRule(Section):
    """A limit that you set, counted for each account and model by itself."""

    provider: ProviderName = setting(
        ..., "Which provider it is for: the name that stands in the log.", unit="provider name", example='"openai"'
    )
    model: str = setting(
        "*", "Which models it is for. Every matching rule applies.", unit="glob, for example gpt-4o*", min_length=1
    )
    per_second: float | None = setting(
        None, "Calls started in any one second.", unit="calls per second", example="5.0", gt=0, allow_inf_nan=False
    )
    rpm: int | None = setting(None, "Calls started in any one minute.", unit="calls per minute", example="300", ge=1)
    rph: int | None = setting(None, "Calls started in any one hour.", unit="calls per hour", example="5_000", ge=1)
    rpd: int | None = setting(None, "Calls started in any 24 hours.", unit="calls per day", example="50_000", ge=1)
    tpm: int | None = setting(
        None,
        "Tokens in any one minute, question and answer together. Estimated before a call, corrected by what the"
        " provider counts.",
        unit="tokens per minute",
        example="200_000",
        ge=1,
    )
    tpd: int | None = setting(None, "Tokens in any 24 hours.", unit="tokens per day", example="2_000_000", ge=1)
    concurrency: int | None = setting(None, "Calls under way at the same time.", unit="calls", example="8", ge=1)
    burst: int | None = setting(
        None,
        "Calls that may start at once; the others follow evenly. Left out, a whole second's or minute's calls may start"
        " together, which some providers refuse.",
        unit="calls",
        example="5",
        ge=1,
    )
    together: bool = setting(
        False,  # noqa: FBT003
        "Count all models that match as one, for a limit that they share. A rule for some of them then holds for all.",
        unit="true or false",
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        paced = [self.per_second, self.rpm, self.rph, self.rpd]
        if all(limit is None for limit in (*paced, self.tpm, self.tpd, self.concurrency)):
            message = "at least one of per_second, rpm, rph, rpd, tpm, tpd, concurrency"
            raise ValueError(message)
        if self.burst is not None and all(limit is None for limit in paced):
            raise MisfitError("burst", "per_second, rpm, rph or rpd beside it: it says how many of those start at once")
        return self


class Limits(Section):
    """How calls are paced, and how many may wait. Limits that a provider states are learned, and need no rule."""

    shadow: bool = setting(
        False,  # noqa: FBT003
        "Only watch: decide and write down how long each call would have waited, and let all of them through. For a"
        " first look at a busy team; the provider's refusals then reach the apps.",
        unit="true or false",
    )
    queue_max: int = setting(
        10_000,
        "How many calls may wait at once. Past it a call is refused at once with the reason, so that memory stays"
        " bounded; 10,000 is far more than one machine's apps wait for in practice.",
        unit="calls",
        ge=1,
    )
    queue_max_bytes: int = setting(
        256 * MIB,
        "How much memory the bodies of waiting calls may hold. Images make calls large, so their number alone does"
        " not bound memory.",
        unit="bytes",
        ge=1,
    )
    rules: tuple[LimitRule, ...] = setting(
        (), "Limits of your own, for each account and model by itself.", unit="tables", strict=False
    )


class Retry(Section):
    """When a call is sent again."""

    max_attempts: int = setting(
        3,
        "How often one call is sent at most, the first time included. Waiting for a time that the provider states"
        " is not counted. 1 never sends again.",
        unit="attempts",
        ge=1,
        le=10,
    )
    budget_ratio: float = setting(
        0.2,
        "How many retries there may be for each call, for one host and key over the last ten seconds. When everything"
        " fails, more retries only keep the provider from getting well. Retries of the app's SDK count, too, and are"
        " never refused.",
        unit="retries per call",
        ge=0,
        le=10,
        allow_inf_nan=False,
    )
    budget_min: int = setting(
        3,
        "How many retries those ten seconds always have, so that somebody who makes few calls is helped as well.",
        unit="retries",
        ge=0,
    )
    strict: bool = setting(
        False,  # noqa: FBT003
        "Send nothing again that the provider may have worked on: a connection that broke after the request was sent,"
        " a 500, 502 or 504. Without it such calls are repeated on routes where a second answer costs money and does"
        " no other harm, and are marked as possible duplicates.",
        unit="true or false",
    )
    pure_add: tuple[EditedRoute, ...] = setting(
        (),
        "Further routes of that kind, beside chat completions, completions, embeddings, moderations, messages,"
        " generateContent, and responses that neither act nor are kept.",
        unit="list of PROVIDER/PATH, with * for any part",
        example='["openai/v1/audio/transcriptions"]',
        strict=False,
    )
    pure_remove: tuple[EditedRoute, ...] = setting(
        (),
        "Routes that are not of that kind although they are by default.",
        unit="list of PROVIDER/PATH, with * for any part",
        example='["openai/v1/chat/*"]',
        strict=False,
    )
