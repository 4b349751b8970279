"""POST /v1/moderations.

Source: the types of the official client, openai 3.54 (``types/moderation``), read 2026-11.
"""

from gateway.simulate.face import Asked, Face, Json, mounted
from gateway.simulate.provider import Provider

_DEFAULT_MODEL = "omni-moderation-latest"
_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def _plain(asked: Asked) -> Json:
    value = asked.payload.get("input")
    texts = value if isinstance(value, list) and all(isinstance(one, str) for one in value) else [value]
    return {
        "id": f"modr-simulated{asked.number:08d}",
        "model": asked.model or _DEFAULT_MODEL,
        "results": [_result("flag-me" in str(text)) for text in texts],
    }


def _result(flagged: bool) -> Json:  # noqa: FBT001 - one private caller
    """Return one verdict; a text that contains ``flag-me`` is found violent."""
    hit = {name: flagged and name == "violence" for name in _CATEGORIES}
    return {
        "flagged": flagged,
        "categories": hit,
        "category_scores": {name: 0.99 if bad else 0.0001 for name, bad in hit.items()},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


FACES = mounted(
    Face(
        provider=Provider.OPENAI,
        method="POST",
        path="/moderations",
        required=("input",),
        plain=_plain,
    )
)
