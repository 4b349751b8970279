"""A verdict, in the words that every face of the product shows, with the facts to say it in another language."""

from dataclasses import dataclass

from gateway.model.cause import Cause, Fault, Precision

Facts = tuple[tuple[str, str], ...]
"""Names of placeholders and what stands for them in this call."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One thing that was seen.

    Attributes:
        text: In English, with placeholders; the key to its translations.
        facts: What they stand for.
    """

    text: str
    facts: Facts = ()


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A cause that this is not, and why."""

    cause: Cause
    why: str
    clue: Clue


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why a call failed.

    Attributes:
        title: A few words.
        what_happened: One sentence about this very call.
        evidence: What we saw that supports the cause, one fact a line, redacted.
        ruled_out: Causes that the evidence excludes, and why.
        alternatives: Causes that fit as well.
        what_to_do: Steps, most likely first, with this call's numbers.
        vendor: The product on the path that wrote the answer or signed the certificate, empty when none did.
        author: Who wrote the answer: ``provider``, ``edge``, ``middlebox``, ``relay`` ...; empty when nobody did.
        waiting_helps: Whether the same call can succeed later without anybody's doing.
        wait_seconds: How long, when somebody said; None when nobody did.
        facts: What the texts were filled in with.
        clues: What ``evidence`` was made of.
        language: Of all texts here, ISO 639-1.
    """

    cause: Cause
    fault: Fault | None
    precision: Precision
    title: str
    what_happened: str
    evidence: tuple[str, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    alternatives: tuple[Cause, ...] = ()
    what_to_do: tuple[str, ...] = ()
    vendor: str = ""
    author: str = ""
    waiting_helps: bool = False
    wait_seconds: float | None = None
    facts: Facts = ()
    clues: tuple[Clue, ...] = ()
    language: str = "en"

    def sentence(self) -> str:
        """What happened and what to do next, in one breath."""
        return " ".join((self.what_happened, *self.what_to_do[:1]))
