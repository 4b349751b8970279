"""The simulated provider itself: one ASGI callable."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.simulate.admission import Call, Refusal, call_of, check, check_fields, turn_of
from gateway.simulate.answer import Answer, answer_to
from gateway.simulate.compose import JSON, Composer, misuse
from gateway.simulate.config import LIMITS, BadKnobError, Knobs, SimulatorConfig, knobs_for, with_limits
from gateway.simulate.control import BYTES, ECHO, PREFIX, control
from gateway.simulate.deliver import Reply, deliver, disturb, refuse
from gateway.simulate.exchange import BodyTooLargeError, Exchange
from gateway.simulate.face import Face
from gateway.simulate.failure import Behaviour, Identity, UnknownFailureError, find
from gateway.simulate.ledger import Ledger, LedgerRow, is_billable
from gateway.simulate.limits import Limits, Refused
from gateway.simulate.line import ClientGoneError, Receive, Scope, Send
from gateway.simulate.schedule import Schedule
from gateway.simulate.websocket import Socket, Turn

_INVALID_JSON = {
    "type": "invalid_request_error",
    "code": "invalid_json",
    "message": "Not a JSON object.",
    "param": None,
}


def build(config: SimulatorConfig | None = None) -> "Simulator":
    """Return a simulated provider; without a configuration it has no limits and never fails unasked.

    Raises:
        UnknownFailureError: ``fail_cause`` is not a failure of any provider.
    """
    return Simulator(config or SimulatorConfig())


class Simulator:
    """An ASGI application. State lives as long as the object; two of them have nothing in common."""

    def __init__(self, config: SimulatorConfig) -> None:
        """Check the configuration and start empty."""
        self.config = config
        self.ledger = Ledger()
        self._limits = Limits(config)
        self._schedule = Schedule(config)
        self._composer = Composer(config, self._limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call, or one WebSocket."""
        match scope["type"]:
            case "lifespan":
                await _lifespan(receive, send)
            case "http":
                await self._exchange(Exchange(scope, receive, send, wall_clock=self.config.wall_clock))
            case "websocket":
                await self._socket(Socket(scope, receive, send, wall_clock=self.config.wall_clock))
            case kind:
                message = f"the simulated provider does not speak {kind}"
                raise ValueError(message)

    def reset(self) -> None:
        """Forget the ledger, the limits, and how often a failure was already served."""
        self.ledger.clear()
        self._limits.clear()
        self._schedule.clear()

    def change_limits(self, wanted: Mapping[str, Any]) -> dict[str, int | None]:
        """Change some limits of all keys while it runs, and return all limits; a reset keeps them.

        Raises:
            BadLimitError: See :func:`gateway.simulate.config.with_limits`. Nothing has changed.
        """
        self.config = with_limits(self.config, wanted)
        self._limits.change(self.config)
        return {name: getattr(self.config, name) for name in LIMITS}

    async def _exchange(self, exchange: Exchange) -> None:
        call = call_of(exchange, self.ledger.arrive(), self.config.clock())
        own = exchange.path.startswith(PREFIX)
        try:
            async with exchange:
                if own:
                    await control(exchange, self.ledger, self.reset, self.change_limits, self.config.max_body_bytes)
                else:
                    await self._serve(call, exchange)
        except ClientGoneError:
            pass
        finally:
            recorded = not own or exchange.path.startswith((ECHO, BYTES))
            self.ledger.depart(self._row(call) if recorded else None)

    async def _serve(self, call: Call, exchange: Exchange) -> None:
        """Ask the five questions of the package's docstring, in order."""
        try:
            await exchange.read_body(self.config.max_body_bytes)
        except BodyTooLargeError:
            await self._refuse(call, Refusal(cause="request.payload_too_large"))
            return
        face = check(call)
        if isinstance(face, Refusal):
            await self._refuse(call, face)
            return
        await self._respond(call, face)

    async def _respond(self, call: Call, face: Face) -> None:
        """Answer a call that was understood."""
        try:
            knobs = knobs_for(self.config, call.line.headers, call.model)
            asked = self._schedule.asked(call)
        except (BadKnobError, UnknownFailureError) as exc:
            await call.line.answer(400, [JSON], misuse(call, str(exc)))
            return
        answer = answer_to(call.payload, knobs)
        call.tokens = answer.input_tokens + (answer.output_tokens if face.stream or face.speaks else 0)
        if asked is not None:
            reply = self._composer.reply(call, face, answer, knobs)
            await disturb(call.line, self._composer.disturbance(call, asked), reply)
            return
        await self._answer_within_limits(call, face, answer, knobs)

    async def _answer_within_limits(self, call: Call, face: Face, answer: Answer, knobs: Knobs) -> None:
        if not face.generates:
            await deliver(call.line, self._composer.reply(call, face, answer, knobs))
            return
        admitted = self._limits.admit(self.config.counted_by(call.key_hash, call.model), call.tokens)
        if isinstance(admitted, Refused):
            await refuse(call.line, self._composer.over_limit(call, admitted))
            return
        try:
            reply = self._composer.reply(call, face, answer, knobs)
            due = self._schedule.due(call)
            if due is None:
                await deliver(call.line, reply)
            else:
                await disturb(call.line, self._composer.disturbance(call, due), reply)
        finally:
            admitted()

    async def _refuse(self, call: Call, refusal: Refusal) -> None:
        """Send a refusal that ends a call before it is understood."""
        failure = find(refusal.cause, call.provider)
        await refuse(call.line, self._composer.disturbance(call, failure, refusal.values))

    async def _socket(self, socket: Socket) -> None:
        """Serve a WebSocket: its upgrade has a row of its own, and so has every request in it."""
        call = call_of(socket, self.ledger.arrive(), self.config.clock())
        try:
            async with socket:
                face = check(call)
                if isinstance(face, Refusal):
                    await self._refuse(call, face)
                elif await self._upgrade(call, socket):
                    await self._converse(call, face, socket)
        except ClientGoneError:
            pass
        finally:
            self.ledger.depart(self._row(call))

    async def _upgrade(self, call: Call, socket: Socket) -> bool:
        """Accept, or do to the upgrade what was asked for; say whether a conversation follows."""
        try:
            knobs = knobs_for(self.config, socket.headers, call.model)
            asked = self._schedule.asked(call)
        except (BadKnobError, UnknownFailureError) as exc:
            await socket.answer(400, [JSON], misuse(call, str(exc)))
            return False
        if asked is not None and asked.behaviour is Behaviour.SLOW_FIRST_BYTE:
            await socket.pause(asked.seconds)
        elif asked is not None:
            await disturb(socket, self._composer.disturbance(call, asked), Reply(headers=[], knobs=knobs))
            return False
        await socket.accept(self._composer.head(call, Identity.EARLY, []))
        return True

    async def _converse(self, call: Call, face: Face, socket: Socket) -> None:
        if face.session is None:
            return
        session = face.session(self._composer.asked(call, answer_to({}, knobs_for(self.config, {}, ""))))
        for event in session.greeting():
            await socket.say(orjson.dumps(event).decode())
        async for text in socket.messages():
            message = _object(text)
            if message is None:
                replies = session.refusal(400, _INVALID_JSON, {})
            else:
                heard = session.hear(message)
                if heard is None:
                    await self._turn(call, face, Turn(socket, _octets(text), session), session.request(message))
                replies = heard or []
            for event in replies:
                await socket.say(orjson.dumps(event).decode())

    async def _turn(self, upgrade: Call, face: Face, turn: Turn, payload: dict[str, object]) -> None:
        call = turn_of(upgrade, turn, payload, self.ledger.arrive(), self.config.clock())
        try:
            refusal = check_fields(call, face)
            if refusal:
                await self._refuse(call, refusal)
            else:
                await self._respond(call, face)
        finally:
            self.ledger.depart(self._row(call))

    def _row(self, call: Call) -> LedgerRow:
        line = call.line
        retries = line.headers.get("x-stainless-retry-count", "")
        return LedgerRow(
            number=call.number,
            method=line.method,
            path=line.raw_path,
            query=line.query,
            key_hash=call.key_hash,
            model=call.model,
            body_sha256=line.body_sha256,
            body_bytes=line.body_bytes,
            status=line.status,
            billable=is_billable(method=line.method, body_complete=line.body_complete, status=line.status),
            response_bytes=line.response_bytes,
            aborted_by_client=line.aborted_by_client,
            retry_count=int(retries) if retries.isdecimal() else None,
            started_at=line.started_at,
            ended_at=self.config.wall_clock(),
        )


def _octets(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _object(text: str | bytes) -> dict[str, object] | None:
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


async def _lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge start and stop; there is nothing to do at either."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
