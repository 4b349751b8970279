"""What tunnels, WebSockets and refused connections tell the record."""

import time
from collections.abc import Callable

from addons.lanes import Refusal
from addons.tunnels import Tunnel
from addons.websocket import EndedWebSocket
from gateway.asgi import new_id
from gateway.model.clock import Clock
from gateway.model.diagnosis import Diagnosis
from gateway.model.flow import FlowRow
from gateway.providers import openai
from gateway.rows import foreign_row, refused_verdict, tunnel_verdict, websocket_verdict

SAME_REFUSALS_SECONDS = 10.0
"""An app that does not trust us tries again and again: one row for each client address and host is enough."""

_REMEMBERED = 1000


class Reports:
    """Turns what the addons saw into rows."""

    def __init__(self, recorded: Callable[[FlowRow], None], clock: Clock) -> None:
        self._recorded, self._clock = recorded, clock
        self._refusals: dict[tuple[str, str, str], float] = {}

    def refused(self, refusal: Refusal) -> None:
        """Record a request or handshake that never became a call."""
        now = self._clock.now()
        key = (refusal.client.rpartition(":")[0], refusal.host, refusal.detail)
        if now - self._refusals.get(key, -SAME_REFUSALS_SECONDS) < SAME_REFUSALS_SECONDS and refusal.status is None:
            return
        if len(self._refusals) >= _REMEMBERED:
            self._refusals.clear()
        self._refusals[key] = now
        diagnosis = refused_verdict(refusal.cause, refusal.detail, refusal.status, refusal.host)
        self._recorded(
            foreign_row(
                flow_id=new_id(refusal.at),
                kind="tunnel" if refusal.status is None else "api",
                started_at=refusal.at,
                seconds=0.0,
                client=refusal.client,
                method="CONNECT" if refusal.host and refusal.status is None else "",
                host=refusal.host,
                path="",
                status=refusal.status,
                diagnosis=diagnosis,
            )
        )

    def tunnel(self, tunnel: Tunnel) -> None:
        """Record a tunnel that is over."""
        self._recorded(
            foreign_row(
                flow_id=new_id(tunnel.started_at),
                kind="tunnel",
                started_at=tunnel.started_at,
                seconds=time.monotonic() - tunnel.started,
                client=tunnel.client,
                method=tunnel.kind,
                host=tunnel.host if tunnel.port in {80, 443} else f"{tunnel.host}:{tunnel.port}",
                path=tunnel.path,
                status=tunnel.status if tunnel.status is not None else 200,
                diagnosis=self._verdict(tunnel),
            )
        )

    def tunnel_answer(self, tunnel: Tunnel) -> tuple[int, bytes]:
        """Give status and body of our answer to a CONNECT that cannot be served."""
        found = self._verdict(tunnel)
        status = 508 if tunnel.loop else 504 if tunnel.code == "connect_timeout" else 502
        if found is None:
            return status, b""
        return status, openai.write_error(status, found.cause.value, f"whygate: {found.sentence()}")

    def websocket(self, ended: EndedWebSocket) -> None:
        """Record a WebSocket that is over."""
        self._recorded(
            foreign_row(
                flow_id=new_id(ended.started_at),
                kind="websocket",
                started_at=ended.started_at,
                seconds=ended.seconds,
                client=ended.client,
                method="GET",
                host=ended.host,
                path=ended.path,
                status=ended.status,
                diagnosis=websocket_verdict(ended.host, ended.status, ended.error),
            )
        )

    @staticmethod
    def _verdict(tunnel: Tunnel) -> Diagnosis | None:
        return tunnel_verdict(f"{tunnel.host}:{tunnel.port}", tunnel.code, tunnel.detail, loop=tunnel.loop)
