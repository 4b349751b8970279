"""``/metrics``: the figures, as Prometheus reads them."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

Metrics = Callable[[str], Awaitable[tuple[bytes, str]]]


async def no_metrics(_accept: str) -> tuple[bytes, str]:
    """Count nothing; for a page that stands alone."""
    return b"", "text/plain; version=0.0.4; charset=utf-8"


class MetricsView:
    """Shows them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def show(self, request: Request) -> Response:
        """Give all figures."""
        text, media_type = await self._metrics(request.headers.get("accept", "")[:1000])
        return Response(text, headers={"content-type": media_type})
