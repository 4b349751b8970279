"""Settings of what answers when a provider does not."""

from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from gateway.model.cause import Cause
from gateway.settings.problems import MisfitError
from gateway.settings.section import Section, setting
from gateway.settings.values import Upstream

_MENDED_ELSEWHERE = ("network.", "service.", "edge.", Cause.PROXY_CIRCUIT_OPEN.value)
"""Beginnings of the causes that pass, or that nobody here can do much about."""


def _cause(glob: str) -> str:
    """Check that a glob names causes, and none that the person has to know of."""
    meant = [cause.value for cause in Cause if fnmatchcase(cause.value, glob)]
    if not meant:
        raise ValueError("a cause or a glob over causes, for example network.* (no cause is called that)")
    hidden = next((cause for cause in meant if not cause.startswith(_MENDED_ELSEWHERE)), None)
    if hidden is not None:
        message = (
            f"causes of network.*, service.*, edge.*, or proxy.circuit_open ({hidden} is to be mended by somebody,"
            " and a fallback would hide it)"
        )
        raise ValueError(message)
    return glob


CauseGlob = Annotated[str, AfterValidator(_cause)]
FallbackName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$")]
_Provider = Annotated[str, StringConstraints(pattern=r"^(?:\*|[a-z0-9][a-z0-9._-]*)$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
_Model = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class FallbackRule(Section):
    """Who answers when a provider cannot be reached, after the last retry. Never used unless you write it."""

    name: FallbackName = setting(
        ...,
        "What it is called in the header x-whygate-fallback and in the log.",
        unit="letters, digits, space, - . _",
        example='"local"',
    )
    provider: _Provider = setting("*", "Whose calls it answers.", unit="provider name, or * for all")
    model: _Model = setting(
        "*",
        "Which models it answers for. The first table that fits provider, model and cause counts; no other is tried.",
        unit="glob, for example gpt-4o*",
    )
    causes: tuple[CauseGlob, ...] = setting(
        ("network.*",),
        "For which failures. Those of the network by default; service.*, edge.* and proxy.circuit_open are possible,"
        " others are not, because a fallback must not hide what you have to mend. A call that is held back because its"
        " host kept failing counts as what the host failed of.",
        unit="list of causes, with * for any part",
        example='["network.*"]',
        strict=False,
    )
    upstream: Upstream | None = setting(
        None,
        "The server that is asked instead, once, in the app's own protocol: /v1/chat/completions, /v1/completions,"
        " /v1/responses or /v1/messages, as Ollama, LM Studio and vLLM have them. No key, cookie or account of the app"
        " goes there. Embeddings are left alone, and so are calls whose path names the model (Gemini, deployments of"
        " Azure) and calls that act or continue what only the provider has kept. Plain http only to this machine.",
        unit="address",
        example='"http://127.0.0.1:11434"',
    )
    models: dict[_Model, _Model] | None = setting(
        None,
        "Which model to ask for there: the first glob that fits the asked model counts, and without one the call does"
        " not fall back. Left out, the same name is asked for.",
        unit="table of globs and names",
        example='{ "gpt-*-mini" = "llama3.2:1b", "*" = "llama3.2" }',
    )
    text: _Text | None = setting(
        None,
        "Instead of an upstream: the answer itself, given in the protocol of the call, as a stream where one was asked"
        " for.",
        unit="text, at most 20,000 characters",
        example='"The model cannot be reached just now. Please try again in a minute."',
    )
    timeout_seconds: int = setting(
        60,
        "How long the upstream may take to begin its answer. A local server may have to load the model first.",
        unit="seconds",
        ge=1,
        le=3_600,
    )

    @model_validator(mode="after")
    def _answers_somehow(self) -> Self:
        if (self.upstream is None) == (self.text is None):
            raise ValueError("exactly one of upstream, text")
        if not self.causes:
            raise MisfitError("causes", "at least one cause, or the key left out")
        if self.models is not None and self.upstream is None:
            raise MisfitError("models", "an upstream beside it: a text is the same for every model")
        if self.models is not None and not self.models:
            raise MisfitError("models", "at least one model, or the key left out")
        return self


def _distinct(rules: tuple[FallbackRule, ...]) -> tuple[FallbackRule, ...]:
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"one [[fallback]] table for each name (twice: {', '.join(twice)})"
        raise ValueError(message)
    return rules


Fallbacks = Annotated[tuple[FallbackRule, ...], AfterValidator(_distinct)]
