"""A bad time that ends: one fault for as long as an event is set, then another."""

import threading

from tests.faults.upstream import Exchange, Fault


def while_set(bad: threading.Event, fault: Fault, otherwise: Fault) -> Fault:
    """Choose by the event at the moment of the request."""

    async def chosen(exchange: Exchange) -> None:
        await (fault if bad.is_set() else otherwise)(exchange)

    return chosen
