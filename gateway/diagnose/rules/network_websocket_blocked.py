"""A WebSocket upgrade was swallowed or refused on the way, while plain calls pass."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted, only
from gateway.model.cause import Cause
from gateway.model.failure import NetCode


def _page(seen: Observation) -> bool:
    """A handshake that was answered with a web page met a portal, not a deaf proxy."""
    return seen.headers.get("content-type", "").lower().startswith("text/html") and seen.status in {
        200,
        301,
        302,
        303,
        307,
    }


RULE = Rule(
    cause=Cause.NETWORK_WEBSOCKET_BLOCKED,
    match=first(
        failed(NetCode.UPGRADE_UNANSWERED),
        hinted("unexpected server response"),
        only(
            lambda seen: not _page(seen),
            heard(
                "websocket|wss|upgrade|handshakeerror|wsserverhandshake",
                "disabled|not supported|426|upgrade required|no response|timed out|timeout|failed|fallback|"
                "unexpected server response|invalid status|rejected|refused|not upgraded|blocked|could not|"
                "unexpected response code|bad handshake|did not complete|handshake status|closed before|"
                "error during",
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.read_timeout", "network.connection_reset", "network.tcp_timeout", "service.stream_stalled"),
)
