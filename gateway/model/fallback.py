"""Who answers a call that its provider did not answer."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.model.call import Origin
from gateway.model.cause import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Another upstream, or a fixed text.

    Attributes:
        name: As headers and rows show it.
        provider: Whose calls, ``*`` for everybody's.
        model: Which models were asked for, a glob.
        causes: Globs over the causes for which it answers.
        origin: The other upstream; None when it is a text.
        prefix: The path that goes before the call's own there.
        models: Globs of asked models and the model there, the first that matches counts; None keeps the asked one.
        text: The fixed answer; empty when it is an upstream.
        timeout_seconds: How long its head may take.
    """

    name: str
    provider: str = "*"
    model: str = "*"
    causes: tuple[str, ...] = ("network.*",)
    origin: Origin | None = None
    prefix: bytes = b""
    models: tuple[tuple[str, str], ...] | None = None
    text: str = ""
    timeout_seconds: float = 60.0

    def answers(self, provider: str, model: str, causes: tuple[Cause, ...]) -> bool:
        """Whether it is for calls of a provider and model that failed so; one of several causes is enough."""
        if self.provider not in {"*", provider} or not fnmatchcase(model, self.model):
            return False
        return any(fnmatchcase(cause.value, glob) for cause in causes for glob in self.causes)

    def model_for(self, asked: str) -> str | None:
        """Give the model to ask for there, None when none stands for the asked one."""
        if self.models is None:
            return asked
        return next((there for glob, there in self.models if fnmatchcase(asked, glob)), None)
