"""What one code covers and only the message tells apart."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.model.cause import Cause
from gateway.model.provider import Declared

Refine = Callable[[int, Cause | None, Declared], Cause | None]


class Said(NamedTuple):
    """A wording that decides.

    Attributes:
        status: The status that it comes with, 0 for any.
        part: Part of the message, in lower case.
        cause: What it means.
    """

    status: int
    part: str
    cause: Cause


def by_message(rules: tuple[Said, ...], otherwise: Refine | None = None) -> Refine:
    """Give a `Provider.refine`: the first wording that occurs decides, else ``otherwise``, else the code."""

    def refine(status: int, cause: Cause | None, declared: Declared) -> Cause | None:
        message = declared.message.lower()
        for rule in rules:
            if rule.status in {0, status} and rule.part in message:
                return rule.cause
        return cause if otherwise is None else otherwise(status, cause, declared)

    return refine
