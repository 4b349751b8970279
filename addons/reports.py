"""What tunnels, WebSockets and refused connections tell the record."""

import time
from collections.abc import Callable
from dataclasses import replace

from addons.interceptions import Intercepted
from addons.lanes import Refusal
from addons.tunnels import Tunnel
from addons.websocket import EndedWebSocket
from gateway.asgi import new_id
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.excerpt import readable
from gateway.model.attempt import ReplyHead
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.model.clock import Clock
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetFailure
from gateway.model.flow import FlowRow
from gateway.providers import openai
from gateway.reply import failure_status
from gateway.rows import foreign_row, refused_verdict, tunnel_verdict, websocket_verdict
from gateway.stages import Surer

SAME_REFUSALS_SECONDS = 10.0
"""An app that does not trust us tries again and again: one row for each client address and host is enough."""

_REMEMBERED = 1000

LookAt = Callable[[Origin, Diagnosis, NetFailure | None], Surer | None]


class Reports:
    """Turns what the addons saw into rows."""

    def __init__(self, recorded: Callable[[FlowRow], None], clock: Clock, look_at: LookAt) -> None:
        self._recorded, self._clock, self._look_at = recorded, clock, look_at
        self._refusals: dict[tuple[str, str, str], float] = {}

    def refused(self, refusal: Refusal) -> None:
        """Record a request or handshake that never became a call."""
        now = self._clock.now()
        # Whoever guesses the credential may name any host; what it cannot choose is its own address.
        locked_out = refusal.cause in {Cause.PROXY_UNAUTHORIZED, Cause.PROXY_OVERLOADED}
        key = (refusal.client.rpartition(":")[0], "" if locked_out else refusal.host, refusal.detail)
        repeated = now - self._refusals.get(key, -SAME_REFUSALS_SECONDS) < SAME_REFUSALS_SECONDS
        if repeated and (refusal.status is None or locked_out):
            return
        if len(self._refusals) >= _REMEMBERED:
            self._refusals.clear()
        self._refusals[key] = now
        diagnosis = refused_verdict(refusal.cause, refusal.detail, refusal.status, refusal.host)
        self._recorded(
            foreign_row(
                flow_id=refusal.flow_id or new_id(refusal.at),
                kind="tunnel" if refusal.status is None or refusal.method == "CONNECT" else "api",
                started_at=refusal.at,
                seconds=0.0,
                client=refusal.client,
                method="CONNECT" if refusal.host and refusal.status is None else refusal.method,
                host=refusal.host,
                path="",
                status=refusal.status,
                diagnosis=diagnosis,
                tenant=refusal.tenant,
            )
        )

    def tunnel(self, tunnel: Tunnel) -> None:
        """Record a tunnel that is over."""
        status = tunnel.status if tunnel.status is not None else (None if tunnel.client_left else 200)
        self._recorded(
            foreign_row(
                flow_id=new_id(tunnel.started_at),
                kind="tunnel",
                started_at=tunnel.started_at,
                seconds=time.monotonic() - tunnel.started,
                client=tunnel.client,
                method="CONNECT",
                host=tunnel.authority.removesuffix(":443").removesuffix(":80"),
                path="",
                status=status,
                diagnosis=self._verdict(tunnel),
                tenant=tunnel.tenant,
            )
        )

    def tunnel_answer(self, tunnel: Tunnel) -> tuple[int, bytes]:
        """Give status and body of our answer to a CONNECT that cannot be served."""
        found = self._verdict(tunnel)
        status = 502 if tunnel.failure is None else failure_status(tunnel.failure)[0]
        status = status if tunnel.refused is None else tunnel.refused.status
        if found is None:
            return status, b""
        return status, openai.write_error(status, found.cause.value, f"whygate: {found.sentence()}")

    def websocket(self, ended: EndedWebSocket) -> None:
        """Record a WebSocket that is over, or never began."""
        call, route = ended.call, ended.route
        upstream = route.upstream if route is not None else call.origin
        diagnosis = ended.diagnosis or websocket_verdict(
            upstream.host, ended.status, ended.close_code, by_client=ended.by_client, seconds=ended.seconds
        )
        row = foreign_row(
            flow_id=call.id,
            kind="websocket",
            started_at=call.arrived_at,
            seconds=ended.seconds,
            client=call.client,
            method=call.method,
            host=str(upstream).partition("://")[2],
            path=(call.target if route is None else route.target).decode("latin-1"),
            status=ended.status,
            diagnosis=diagnosis,
            tenant=call.tenant,
        )
        if route is not None:
            row = replace(
                row,
                key=route.key,
                provider=route.provider.name,
                endpoint=route.endpoint.name,
                model=route.model[:256],
                stream=True,
            )
        self._recorded(row)

    def intercepted(self, ended: Intercepted) -> None:
        """Record a request that mitmproxy carried."""
        diagnosis = None
        if ended.client_left or ended.failure is not None or (ended.status or 0) >= 400:
            head = None if ended.status is None else ReplyHead(status=ended.status, headers=ended.headers)
            encoding = None if head is None else head.header(b"content-encoding")
            evidence = Evidence(
                provider=ended.provider,
                host=ended.host,
                head=head,
                text=readable(ended.body, encoding, None) or "",
                failure=ended.failure,
                refused=ended.refused,
                client_left=ended.client_left,
                waited_seconds=ended.seconds,
                attempts=1,
            )
            diagnosis = diagnose(evidence)
        row = foreign_row(
            flow_id=ended.id,
            kind="api",
            started_at=ended.started_at,
            seconds=ended.seconds,
            client=ended.client,
            method=ended.method,
            host=ended.host,
            path=ended.target,
            status=ended.status,
            diagnosis=diagnosis,
            tenant=ended.tenant,
        )
        provider = ended.provider
        if provider is not None:
            named = provider.name_target(ended.target.encode())
            endpoint = provider.endpoints.get(named.path)
            name = endpoint.name if endpoint is not None else "other"
            row = replace(row, provider=provider.name, endpoint=name, model=named.model[:256])
        self._recorded(row)

    async def second_look(self, tunnel: Tunnel) -> Diagnosis | None:
        """Give the verdict on a failed tunnel with what a second look finds."""
        drawn = self._verdict(tunnel)
        place = Origin("https", tunnel.host, tunnel.port)
        surer = None if drawn is None else self._look_at(place, drawn, tunnel.failure)
        return drawn if surer is None or drawn is None else await surer(drawn)

    @staticmethod
    def _verdict(tunnel: Tunnel) -> Diagnosis | None:
        if tunnel.diagnosis is not None:
            return tunnel.diagnosis
        return tunnel_verdict(tunnel.authority, tunnel.failure, refused=tunnel.refused, client_left=tunnel.client_left)
