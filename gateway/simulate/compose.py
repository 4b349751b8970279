"""Put an answer together: head, body, and what a failure's file leaves open. Sends nothing."""

import math
from collections.abc import Mapping

import orjson

from gateway.simulate.admission import Call
from gateway.simulate.answer import Answer
from gateway.simulate.config import Knobs, SimulatorConfig
from gateway.simulate.deliver import Disturbance, Pairs, Reply
from gateway.simulate.face import Asked, Face
from gateway.simulate.failure import Failure, Identity, find
from gateway.simulate.limits import Limits, Refused, go_duration
from gateway.simulate.provider import (
    Provider,
    edge_headers,
    front_headers,
    request_headers,
    signature_headers,
)

JSON = ("content-type", "application/json")


class Composer:
    """Writes what the provider of a call would write."""

    def __init__(self, config: SimulatorConfig, limits: Limits) -> None:
        """Use these limits for the heads of answers."""
        self._config = config
        self._limits = limits

    def asked(self, call: Call, answer: Answer) -> Asked:
        """Return the call as a face sees it."""
        return Asked(
            number=call.number,
            created=int(self._config.wall_clock()),
            model=call.model,
            payload=call.payload,
            answer=answer,
            request_id=call.request_id,
            item=call.item,
            query=call.line.parameters,
        )

    def reply(self, call: Call, face: Face, answer: Answer, knobs: Knobs) -> Reply:
        """Return the answer of a call that goes well."""
        asked = self.asked(call, answer)
        if face.stream is not None and (face.always_streams or call.payload.get("stream") is True):
            stream = face.stream(asked)
            head = self.head(
                call, Identity.FULL, [("content-type", stream.content_type), ("cache-control", "no-cache")]
            )
            return Reply(headers=head, knobs=knobs, stream=stream, preface=face.preface)
        return Reply(headers=self.head(call, Identity.FULL, [JSON]), knobs=knobs, body=face.body(asked))

    def over_limit(self, call: Call, refused: Refused) -> Disturbance:
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
        return self.disturbance(call, failure, values, measured=True, too_large=refused.never)

    def disturbance(
        self,
        call: Call,
        failure: Failure,
        extra_values: Mapping[str, str] | None = None,
        *,
        measured: bool = False,
        too_large: bool = False,
    ) -> Disturbance:
        """Describe a failure of a call; ``measured`` as for :meth:`head`."""
        values = {
            **call.values(),
            "reset_instant": self._limits.instant_after(1.0),
            "reset_unix": str(math.ceil(self._config.wall_clock()) + 3_600),
            **(extra_values or {}),
        }
        extra = failure.rendered_headers(values)
        if failure.body and not any(name == "content-type" for name, _ in extra):
            extra.append(JSON)
        if too_large or (measured and not self._config.retry_after):
            # Waiting does not help a call that is larger than the whole limit.
            extra = [(name, text) for name, text in extra if "retry-after" not in name]
        envelope = call.face.envelope if call.face else None
        return Disturbance(
            failure=failure,
            headers=self.head(call, failure.identity, extra, measured=measured),
            values=values,
            too_large=too_large,
            envelope=(lambda body: envelope(body, call.line.parameters)) if envelope else None,
        )

    def head(self, call: Call, identity: Identity, extra: Pairs, *, measured: bool = False) -> Pairs:
        """Return a head: what the provider always sends, overridden by ``extra``.

        With ``measured`` the limits' headers stand, because an example in a file knows less.
        """
        base: Pairs = []
        if identity is Identity.EDGE:
            base += edge_headers(call.number)
        if identity in {Identity.FULL, Identity.EARLY}:
            base += front_headers(call.provider, call.number) + request_headers(call.provider, call.request_id)
        if identity is Identity.FULL:
            elapsed_seconds = self._config.clock() - call.started_at
            base += signature_headers(call.provider, call.key_hash, call.request_id, elapsed_seconds)
            limits = self._limits.headers(
                call.provider, self._config.counted_by(call.key_hash, call.model), call.tokens
            )
            if not self._config.state_limits:
                extra = [(name, text) for name, text in extra if "ratelimit-" not in name]
            elif measured:
                known = {name for name, _ in limits}
                extra = [(name, text) for name, text in extra if name not in known]
            base += limits
        overridden = {name for name, _ in extra}
        return [(name, text) for name, text in base if name not in overridden] + extra


def misuse(call: Call, message: str) -> bytes:
    """Return the error for a call that uses the simulator itself wrongly, in the provider's shape."""
    match call.provider:
        case Provider.OPENAI | Provider.AZURE:
            code = "simulate_misuse"
            error = {"message": message, "type": "invalid_request_error", "param": "model", "code": code}
            return orjson.dumps({"error": error})
        case Provider.ANTHROPIC:
            error = {"type": "invalid_request_error", "message": message}
            return orjson.dumps({"type": "error", "error": error, "request_id": call.request_id})
        case Provider.GEMINI:
            body = orjson.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
            envelope = call.face.envelope if call.face else None
            return envelope(body, call.line.parameters) if envelope else body
