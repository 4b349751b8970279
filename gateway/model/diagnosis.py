"""A verdict, in the words that every face of the product shows."""

from dataclasses import dataclass

from gateway.model.cause import Cause, Fault, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why a call failed.

    Attributes:
        title: A few words.
        what_happened: One sentence about this very call.
        evidence: What we saw that supports the cause, one fact a line, redacted.
        ruled_out: Causes that the evidence excludes.
        alternatives: Causes that fit as well.
        what_to_do: Steps, most likely first.
    """

    cause: Cause
    fault: Fault | None
    precision: Precision
    title: str
    what_happened: str
    evidence: tuple[str, ...] = ()
    ruled_out: tuple[Cause, ...] = ()
    alternatives: tuple[Cause, ...] = ()
    what_to_do: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What happened and what to do next, in one breath."""
        return " ".join((self.what_happened, *self.what_to_do[:1]))
