"""What the gateway holds at this moment: at rest it is the same every time, so whatever grows was never given back."""

import asyncio
from pathlib import Path
from typing import Any

from gateway.egress.send import Upstream
from gateway.limit.gate import Gate


def vitals(gate: Gate, upstream: Upstream) -> dict[str, Any]:
    """Give the counts, as the page's ``/api/health`` shows them. Call it on the event loop.

    Returns:
        ``tasks`` of the event loop, ``descriptors`` that are open (None where the system does not tell),
        ``reservations`` (calls that hold a permit of the gate), and ``pool``: connections to upstreams, ``busy`` and
        ``idle``.
    """
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": descriptors(),
        "reservations": gate.reservations,
        "pool": upstream.pool()._asdict(),
    }


def descriptors() -> int | None:
    """Give the number of open descriptors of this process; None where there is no /proc (see proc(5))."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # without the one that lists them
    except OSError:
        return None
