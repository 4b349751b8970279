"""Faults dealt from a deck, whoever asks: the n-th request gets the n-th card, and the deck begins again at its end."""

import itertools
import threading
from collections.abc import Sequence

from tests.faults.upstream import Exchange, Fault


def sequence(faults: Sequence[Fault]) -> Fault:
    """Deal these; what a request gets does not depend on whose it is."""
    cards, lock = itertools.cycle(faults), threading.Lock()

    async def fault(exchange: Exchange) -> None:
        with lock:
            card = next(cards)
        await card(exchange)

    return fault
