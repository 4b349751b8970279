"""Route, credential, body: what a provider checks before it does any work. Decides only, sends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.simulate.exchange import Exchange
from gateway.simulate.faces import FACES
from gateway.simulate.faces.anything import anything
from gateway.simulate.faces.face import Face
from gateway.simulate.failure import HEADER, MODEL_PREFIX
from gateway.simulate.provider import (
    Provider,
    credential_of,
    key_hash_of,
    masked,
    organization_of,
    provider_of,
    request_id_of,
)

UNKNOWN_MODEL = "no-such-model"
_BAD_KEY_MARK = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The cause whose file holds the answer, and what is known for its placeholders."""

    cause: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of the API, filled in as it is understood. Lives as long as its exchange.

    Attributes:
        started_at: Monotonic seconds of the configured clock.
        tokens: What the call costs of the token limits, once known.
    """

    exchange: Exchange
    number: int
    started_at: float
    provider: Provider
    request_id: str
    credential: str
    key_hash: str
    payload: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    tokens: int = 0

    @property
    def asked_for(self) -> str | None:
        """The failure asked for by header or by model, as it was written; ``None`` when nothing was asked."""
        if HEADER in self.exchange.headers:
            return self.exchange.headers[HEADER]
        return self.model.removeprefix(MODEL_PREFIX) if self.model.startswith(MODEL_PREFIX) else None

    def values(self) -> dict[str, str]:
        """Placeholders that every failure file may use."""
        return {
            "request_id": self.request_id,
            "method": self.exchange.method,
            "path": self.exchange.path,
            "model": self.model or "gpt-4o",
            "organization": organization_of(self.key_hash),
            "key": masked(self.credential) or "''",
            "ray": request_id_of(Provider.OPENAI, self.number)[4:20],
        }


def call_of(exchange: Exchange, number: int, started_at: float) -> Call:
    """Return what the request head says."""
    provider = provider_of(exchange.path, exchange.headers)
    credential = credential_of(exchange.headers)
    return Call(
        exchange=exchange,
        number=number,
        started_at=started_at,
        provider=provider,
        request_id=request_id_of(provider, number),
        credential=credential,
        key_hash=key_hash_of(credential),
    )


def check(call: Call) -> Face | Refusal:
    """Fill in the call and return its face, or say why it goes no further. The body must have been read."""
    face = _face(call)
    if isinstance(face, Refusal):
        return face
    return _check_credential(call) or _check_body(call, face) or face


def _face(call: Call) -> Face | Refusal:
    exchange = call.exchange
    here = [face for face in FACES if face.provider is call.provider and face.matches(exchange.path)]
    for face in here:
        if face.method == exchange.method:
            return face
    if HEADER in exchange.headers:
        return anything(call.provider, exchange.method, exchange.path)
    return Refusal(cause="request.method_not_allowed" if here else "request.invalid_url")


def _check_credential(call: Call) -> Refusal | None:
    headers = call.exchange.headers
    if not call.credential:
        sent = headers.get("authorization", "").strip()
        return Refusal(cause="auth.malformed_header" if sent else "auth.missing_key")
    if call.provider is Provider.OPENAI and not headers["authorization"].strip().lower().startswith("bearer "):
        return Refusal(cause="auth.malformed_header")
    if _BAD_KEY_MARK in call.credential:
        return Refusal(cause="auth.invalid_key")
    if call.provider is Provider.ANTHROPIC and not headers.get("anthropic-version"):
        return Refusal(cause="request.api_version")
    return None


def _check_body(call: Call, face: Face) -> Refusal | None:
    """Read the JSON and look at the fields that a provider requires."""
    if not face.required:
        named_unknown = face.path.endswith("/") and call.exchange.path.endswith(f"/{UNKNOWN_MODEL}")
        call.model = UNKNOWN_MODEL if named_unknown else ""
        return Refusal(cause="request.model_not_found") if named_unknown else None
    unreadable = _read_payload(call)
    if unreadable:
        return unreadable
    for name in face.required:
        if call.payload.get(name) in (None, "", []):
            return Refusal(cause="request.missing_parameter", values={"param": name})
    if not isinstance(call.payload.get("messages", []), list):
        return Refusal(cause="request.invalid_parameter", values={"param": "messages"})
    return Refusal(cause="request.model_not_found") if call.model == UNKNOWN_MODEL else None


def _read_payload(call: Call) -> Refusal | None:
    media_type = call.exchange.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return Refusal(cause="request.unsupported_media_type", values={"media_type": media_type})
    try:
        payload = orjson.loads(call.exchange.body)
    except orjson.JSONDecodeError:
        return Refusal(cause="request.invalid_json")
    if not isinstance(payload, dict):
        return Refusal(cause="request.invalid_json")
    call.payload = payload
    model = payload.get("model")
    call.model = model if isinstance(model, str) else ""
    return None
