"""The provider answers with an error of its own."""

import json
from collections.abc import Mapping

from tests.faults.inject.answer import JSON
from tests.faults.upstream import Exchange, Fault


def refused(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with a status and an error body that both SDKs can read."""
    body = json.dumps({"type": "error", "error": {"type": kind, "code": kind, "message": message}}).encode()

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write_head(status, {**JSON, **(headers or {})}, len(body))
        await exchange.write(body)

    return fault


def overloaded(status: int = 503, headers: Mapping[str, str] | None = None) -> Fault:
    """Refuse for overload: 503, or 529 as Anthropic does."""
    return refused(status, "overloaded_error", "The server is overloaded. Please try again.", headers)


def broken(status: int = 500) -> Fault:
    """Fail after the whole request was taken: nobody knows whether the work was done."""
    return refused(status, "server_error", "The server had an error while processing your request.")
