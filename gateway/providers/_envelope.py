"""Error envelopes as services that follow OpenAI write them: one reader for all their variants.

- ``{"error": {"message", "type", "param", "code"}}``: OpenAI's own; ``code`` may be a number, ``message`` an object;
- ``[{"error": {...}}]``: Google's OpenAI face;
- ``{"error": "text"}``, ``{"code": "text", "error": "text"}``: Ollama, xAI, Spring;
- ``{"object": "error", "message", "type", "code"}``, ``{"code", "message"}``: Mistral, vLLM, DashScope, API gateways;
- ``{"detail": "text"}``, ``{"detail": {...}}``, ``{"detail": [{"type", "loc", "msg"}]}``: FastAPI.
"""

from gateway.model.provider import Declared
from gateway.providers._json import parsed, word

_DEEP = 3
_FLAT = ("choices", "candidates", "content")
"""What only an answer has."""


def read_object(body: bytes) -> Declared | None:
    """Read ``{"error": {...}}`` alone; None when it is no such envelope."""
    document = parsed(body)
    error = document.get("error") if isinstance(document, dict) else None
    return declare(error) if isinstance(error, dict) else None


def read_any(body: bytes) -> Declared | None:
    """Read any of the variants above; None when it is none of them."""
    document = parsed(body)
    if isinstance(document, list):
        document = next((item for item in document if isinstance(item, dict)), None)
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if isinstance(error, dict):
        return declare(error)
    if isinstance(error, str) and error:
        said = document.get("message")
        return declare({**document, "message": said if isinstance(said, str) and said else error})
    if document.get("detail"):
        return declare({**document, "message": document["detail"]})
    if document.get("object") == "error" or _says(document):
        return declare(document)
    return None


def _says(document: dict[str, object]) -> bool:
    message = document.get("message")
    return isinstance(message, str) and bool(message) and not any(name in document for name in _FLAT)


def declare(error: dict[str, object], depth: int = 0) -> Declared:
    """Give the words of an error object; what stands inside its message goes before what stands around it."""
    outer = Declared(
        code=word(error.get("code") or error.get("statusCode")),
        type=word(error.get("type") or error.get("error_type")) or _name(error.get("status")),
        message="",
        param=_param(error),
    )
    said = next((error[name] for name in ("message", "msg", "detail") if error.get(name)), "")
    if isinstance(said, list):
        said = next((item for item in said if isinstance(item, dict | str)), "")
    if isinstance(said, dict) and depth < _DEEP:
        inner = declare(said, depth + 1)
        return Declared(
            inner.code or outer.code,
            inner.type or outer.type,
            inner.message or outer.message,
            inner.param or outer.param,
        )
    return outer._replace(message=said if isinstance(said, str) else "")


def _name(status: object) -> str:
    """Give a status that is a name (``RESOURCE_EXHAUSTED``); a number only repeats the one of HTTP."""
    return status if isinstance(status, str) else ""


def _param(error: dict[str, object]) -> str:
    place = error.get("loc")
    if isinstance(place, list):
        return ".".join(word(part) for part in place if part != "body")
    return word(error.get("param"))
