"""The simulated provider itself: one ASGI callable."""

import math
from collections import OrderedDict
from collections.abc import Mapping

import orjson

from gateway.simulate.admission import Call, Refusal, call_of, check
from gateway.simulate.answer import Answer, answer_to
from gateway.simulate.config import BadKnobError, Knobs, SimulatorConfig, knobs_for
from gateway.simulate.control import BYTES, ECHO, PREFIX, control
from gateway.simulate.deliver import Disturbance, Pairs, Reply, deliver, disturb, refuse
from gateway.simulate.exchange import BodyTooLargeError, ClientGoneError, Exchange, Receive, Scope, Send
from gateway.simulate.faces.face import Asked, Face
from gateway.simulate.failure import Behaviour, Failure, Identity, UnknownFailureError, asked_failure, find
from gateway.simulate.ledger import Ledger, LedgerRow, is_billable
from gateway.simulate.limits import Limits, Refused, go_duration
from gateway.simulate.provider import Provider, edge_headers, request_headers, signature_headers

_JSON = ("content-type", "application/json")
_EVENT_STREAM = ("content-type", "text/event-stream; charset=utf-8")
_MAX_REMEMBERED_ASKS = 100_000


def build(config: SimulatorConfig | None = None) -> "Simulator":
    """Return a simulated provider; without a configuration it has no limits and never fails unasked.

    Raises:
        UnknownFailureError: ``fail_cause`` is not a failure of both providers.
    """
    return Simulator(config or SimulatorConfig())


class Simulator:
    """An ASGI application. State lives as long as the object; two of them have nothing in common."""

    def __init__(self, config: SimulatorConfig) -> None:
        """Check the configuration and start empty."""
        for provider in Provider:
            asked_failure(config.fail_cause, provider)
        self.config = config
        self.ledger = Ledger()
        self._limits = Limits(config)
        self._times_failed: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._answerable = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            message = f"the simulated provider does not speak {scope['type']}"
            raise NotImplementedError(message)
        exchange = Exchange(scope, receive, send, wall_clock=self.config.wall_clock)
        call = call_of(exchange, self.ledger.arrive(), self.config.clock())
        own = exchange.path.startswith(PREFIX)
        try:
            async with exchange:
                if own:
                    await control(exchange, self.ledger, self.reset, self.config.max_body_bytes)
                else:
                    await self._serve(call)
        except ClientGoneError:
            pass
        finally:
            recorded = not own or exchange.path.startswith((ECHO, BYTES))
            self.ledger.depart(self._row(call) if recorded else None)

    def reset(self) -> None:
        """Forget the ledger, the limits, and how often a failure was already served."""
        self.ledger.clear()
        self._limits.clear()
        self._times_failed.clear()
        self._answerable = 0

    async def _serve(self, call: Call) -> None:
        """Ask the five questions of the package's docstring, in order."""
        exchange = call.exchange
        try:
            await exchange.read_body(self.config.max_body_bytes)
        except BodyTooLargeError:
            await self._refuse(call, Refusal(cause="request.payload_too_large"))
            return
        face = check(call)
        if isinstance(face, Refusal):
            await self._refuse(call, face)
            return
        try:
            knobs = knobs_for(self.config, exchange.headers, call.model)
            asked = self._asked_failure(call)
        except (BadKnobError, UnknownFailureError) as exc:
            await exchange.answer(400, [_JSON], _misuse(call.provider, call.request_id, str(exc)))
            return
        answer = answer_to(call.payload, knobs)
        call.tokens = answer.input_tokens + (answer.output_tokens if face.stream else 0)
        if asked is not None:
            await disturb(exchange, self._disturbance(call, asked), self._reply(call, face, answer, knobs))
            return
        await self._answer_within_limits(call, face, answer, knobs)

    async def _answer_within_limits(self, call: Call, face: Face, answer: Answer, knobs: Knobs) -> None:
        if not face.generates:
            await deliver(call.exchange, self._reply(call, face, answer, knobs))
            return
        admitted = self._limits.admit(call.key_hash, call.tokens)
        if isinstance(admitted, Refused):
            await refuse(call.exchange, self._over_limit(call, admitted))
            return
        try:
            reply = self._reply(call, face, answer, knobs)
            scheduled = self._scheduled_failure(call)
            if scheduled is None:
                await deliver(call.exchange, reply)
            else:
                await disturb(call.exchange, self._disturbance(call, scheduled), reply)
        finally:
            admitted()

    def _asked_failure(self, call: Call) -> Failure | None:
        """Return the failure this call asked for, unless it was served often enough."""
        request = call.asked_for
        if request is None:
            return None
        return self._unless_spent(call, request)

    def _unless_spent(self, call: Call, request: str) -> Failure | None:
        """Return a failure, unless this call has met it as often as its ``times`` allows."""
        failure = asked_failure(request, call.provider)
        times = failure.times
        if times is None and failure.behaviour is Behaviour.REFUSE_TIMES:
            times = 1
        if times is None:
            return failure
        key = (call.key_hash, request, call.exchange.body_sha256)
        failed = self._times_failed.get(key, 0)
        if failed >= times:
            return None
        self._times_failed[key] = failed + 1
        self._times_failed.move_to_end(key)
        if len(self._times_failed) > _MAX_REMEMBERED_ASKS:
            self._times_failed.popitem(last=False)
        return failure

    def _scheduled_failure(self, call: Call) -> Failure | None:
        self._answerable += 1
        every = self.config.fail_every
        if not every or self._answerable % every:
            return None
        return self._unless_spent(call, self.config.fail_cause)

    async def _refuse(self, call: Call, refusal: Refusal) -> None:
        """Send a refusal that ends a call before it is understood."""
        disturbance = self._disturbance(call, find(refusal.cause, call.provider), refusal.values)
        await refuse(call.exchange, disturbance)

    def _over_limit(self, call: Call, refused: Refused) -> Disturbance:
        """Describe a refusal by the limits, with what was measured in place of the file's example."""
        wait = refused.wait_seconds if refused.wait_seconds is not None else 1.0
        values = {
            "limit": str(refused.limit),
            "used": str(refused.used),
            "requested": str(refused.requested),
            "unit": refused.unit,
            "unit_words": refused.unit_words,
            "wait": go_duration(wait),
            "wait_seconds": str(max(1, math.ceil(wait))),
            "wait_ms": str(max(1, math.ceil(wait * 1_000))),
        }
        failure = find(refused.cause, call.provider)
        return self._disturbance(call, failure, values, measured=True, too_large=refused.never)

    def _disturbance(
        self,
        call: Call,
        failure: Failure,
        extra_values: Mapping[str, str] | None = None,
        *,
        measured: bool = False,
        too_large: bool = False,
    ) -> Disturbance:
        values = {
            **call.values(),
            "reset_instant": self._limits.instant_after(1.0),
            "reset_unix": str(math.ceil(self.config.wall_clock()) + 3_600),
            **(extra_values or {}),
        }
        extra = failure.rendered_headers(values)
        if failure.body and not any(name == "content-type" for name, _ in extra):
            extra.append(_JSON)
        if too_large:
            # Waiting does not help a call that is larger than the whole limit.
            extra = [(name, text) for name, text in extra if not name.startswith("retry-after")]
        headers = self._head(call, failure.identity, extra, measured=measured)
        return Disturbance(failure=failure, headers=headers, values=values, too_large=too_large)

    def _reply(self, call: Call, face: Face, answer: Answer, knobs: Knobs) -> Reply:
        asked = Asked(
            number=call.number,
            created=int(self.config.wall_clock()),
            model=call.model,
            payload=call.payload,
            answer=answer,
            item=call.exchange.path.removeprefix(face.path),
        )
        if face.stream is not None and call.payload.get("stream") is True:
            head = self._head(call, Identity.FULL, [_EVENT_STREAM, ("cache-control", "no-cache")])
            return Reply(headers=head, knobs=knobs, stream=face.stream(asked), error_event=face.error_event)
        head = self._head(call, Identity.FULL, [_JSON])
        return Reply(headers=head, knobs=knobs, body=orjson.dumps(face.plain(asked)))

    def _head(self, call: Call, identity: Identity, extra: Pairs, *, measured: bool = False) -> Pairs:
        """Return a head: what the provider always sends, overridden by ``extra``.

        With ``measured`` the limits' headers stand, because an example in a file knows less.
        """
        base: Pairs = []
        if identity is not Identity.NONE:
            base += edge_headers(call.number)
        if identity in {Identity.FULL, Identity.EARLY}:
            base += request_headers(call.provider, call.request_id)
        if identity is Identity.FULL:
            base += signature_headers(call.provider, call.key_hash, self.config.clock() - call.started_at)
            limits = self._limits.headers(call.provider, call.key_hash, call.tokens)
            if measured:
                known = {name for name, _ in limits}
                extra = [(name, text) for name, text in extra if name not in known]
            base += limits
        overridden = {name for name, _ in extra}
        return [(name, text) for name, text in base if name not in overridden] + extra

    def _row(self, call: Call) -> LedgerRow:
        exchange = call.exchange
        retries = exchange.headers.get("x-stainless-retry-count", "")
        return LedgerRow(
            number=call.number,
            method=exchange.method,
            path=exchange.raw_path,
            query=exchange.query,
            key_hash=call.key_hash,
            model=call.model,
            body_sha256=exchange.body_sha256,
            body_bytes=exchange.body_bytes,
            status=exchange.status,
            billable=is_billable(method=exchange.method, body_complete=exchange.body_complete, status=exchange.status),
            response_bytes=exchange.response_bytes,
            aborted_by_client=exchange.aborted_by_client,
            retry_count=int(retries) if retries.isdecimal() else None,
            started_at=exchange.started_at,
            ended_at=self.config.wall_clock(),
        )


def _misuse(provider: Provider, request_id: str, message: str) -> bytes:
    """Return the error for a call that uses the simulator itself wrongly, in the provider's shape."""
    if provider is Provider.OPENAI:
        error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "simulate_misuse"}
        return orjson.dumps({"error": error})
    error = {"type": "invalid_request_error", "message": message}
    return orjson.dumps({"type": "error", "error": error, "request_id": request_id})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge start and stop; there is nothing to do at either."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
