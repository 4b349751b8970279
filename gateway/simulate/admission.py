"""Route, credential, body: what a provider checks before it does any work. Decides only, sends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.simulate.anything import anything
from gateway.simulate.face import WEBSOCKET, Face
from gateway.simulate.failure import HEADER, MODEL_PREFIX
from gateway.simulate.line import Line
from gateway.simulate.provider import (
    Provider,
    credential_of,
    key_hash_of,
    masked,
    organization_of,
    provider_of,
    request_id_of,
)
from gateway.simulate.routes import faces_at

UNKNOWN_MODEL = "no-such-model"
_BAD_KEY_MARK = "bad"
_LISTS = ("messages", "contents", "requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The cause whose file holds the answer, and what is known for its placeholders."""

    cause: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of the API, filled in as it is understood. Lives as long as its line.

    Attributes:
        face: The route, once known.
        item: What the path names, as in ``/v1/models/{item}``.
        upgrade_asked_for: For a request in a WebSocket: the failure that its upgrade asked for.
        started_at: Monotonic seconds of the configured clock.
        tokens: What the call costs of the token limits, once known.
    """

    line: Line
    number: int
    started_at: float
    provider: Provider
    request_id: str
    credential: str
    key_hash: str
    payload: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    item: str = ""
    tokens: int = 0
    face: Face | None = None
    upgrade_asked_for: str | None = None

    @property
    def is_upgrade(self) -> bool:
        """Whether this is the upgrade to a WebSocket."""
        return self.line.route_method == WEBSOCKET and self.line.method != WEBSOCKET

    @property
    def asked_for(self) -> str | None:
        """The failure asked for by header or by model, as it was written; ``None`` when nothing was asked."""
        if HEADER in self.line.headers:
            return self.line.headers[HEADER]
        return self.model.removeprefix(MODEL_PREFIX) if self.model.startswith(MODEL_PREFIX) else None

    def values(self) -> dict[str, str]:
        """Placeholders that every failure file may use."""
        return {
            "request_id": self.request_id,
            "method": self.line.method,
            "path": self.line.path,
            "model": self.model or "gpt-4o",
            "api_version": self.line.parameters.get("api-version", "v1"),
            "organization": organization_of(self.key_hash),
            "key": masked(self.credential) or "''",
            "ray": request_id_of(Provider.OPENAI, self.number)[4:20],
        }


def call_of(line: Line, number: int, started_at: float) -> Call:
    """Return what the request head says."""
    provider = provider_of(line.path, line.headers, line.parameters)
    credential = credential_of(provider, line.headers, line.parameters)
    return Call(
        line=line,
        number=number,
        started_at=started_at,
        provider=provider,
        request_id=request_id_of(provider, number),
        credential=credential,
        key_hash=key_hash_of(credential),
    )


def turn_of(upgrade: Call, line: Line, payload: dict[str, Any], number: int, started_at: float) -> Call:
    """Return a request in a WebSocket as a call: its key and its provider are those of the upgrade."""
    model = payload.get("model")
    return Call(
        line=line,
        number=number,
        started_at=started_at,
        provider=upgrade.provider,
        request_id=request_id_of(upgrade.provider, number),
        credential=upgrade.credential,
        key_hash=upgrade.key_hash,
        payload=payload,
        model=model if isinstance(model, str) else "",
        face=upgrade.face,
        upgrade_asked_for=upgrade.asked_for,
    )


def check(call: Call) -> Face | Refusal:
    """Fill in the call and return its face, or say why it goes no further. The body must have been read."""
    face = _face(call)
    if isinstance(face, Refusal):
        return face
    call.face = face
    return _check_credential(call) or _check_query(call, face) or _check_body(call, face) or face


def check_fields(call: Call, face: Face) -> Refusal | None:
    """Look at the fields that a provider requires, and at the model."""
    for name in face.required:
        if call.payload.get(name) in (None, "", []):
            return Refusal(cause="request.missing_parameter", values={"param": name})
    for name in _LISTS:
        if not isinstance(call.payload.get(name, []), list):
            return Refusal(cause="request.invalid_parameter", values={"param": name})
    return Refusal(cause="request.model_not_found") if call.model == UNKNOWN_MODEL else None


def _face(call: Call) -> Face | Refusal:
    line = call.line
    here = faces_at(call.provider, line.path)
    for face, named in here:
        if face.method == line.route_method:
            call.model = named.get("model", "")
            call.item = named.get("item", named.get("name", ""))
            return face
    if HEADER in line.headers and line.route_method != WEBSOCKET:
        return anything(call.provider, line.method, line.path)
    return Refusal(cause="request.method_not_allowed" if here else "request.invalid_url")


def _check_credential(call: Call) -> Refusal | None:
    headers = call.line.headers
    if not call.credential:
        sent = headers.get("authorization", "").strip()
        return Refusal(cause="auth.malformed_header" if sent else "auth.missing_key")
    if _BAD_KEY_MARK in call.credential:
        return Refusal(cause="auth.invalid_key")
    if call.provider is Provider.ANTHROPIC and not headers.get("anthropic-version"):
        return Refusal(cause="request.api_version")
    return None


def _check_query(call: Call, face: Face) -> Refusal | None:
    parameters = call.line.parameters
    for name, cause in face.required_query.items():
        if not parameters.get(name):
            return Refusal(cause=cause, values={"param": name})
    if face.method == WEBSOCKET:
        call.model = parameters.get("deployment") or parameters.get("model", "")
    return None


def _check_body(call: Call, face: Face) -> Refusal | None:
    """Read the JSON, where there is one to be read."""
    if not face.required or face.method == WEBSOCKET:
        if call.item.endswith(UNKNOWN_MODEL):
            call.model = UNKNOWN_MODEL
        return Refusal(cause="request.model_not_found") if call.model == UNKNOWN_MODEL else None
    return _read_payload(call) or check_fields(call, face)


def _read_payload(call: Call) -> Refusal | None:
    media_type = call.line.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return Refusal(cause="request.unsupported_media_type", values={"media_type": media_type})
    try:
        payload = orjson.loads(call.line.body)
    except orjson.JSONDecodeError:
        return Refusal(cause="request.invalid_json")
    if not isinstance(payload, dict):
        return Refusal(cause="request.invalid_json")
    call.payload = payload
    model = payload.get("model")
    if not call.model:
        call.model = model if isinstance(model, str) else ""
    return None
