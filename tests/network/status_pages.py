"""status.openai.com (incident.io) and status.claude.com (Atlassian Statuspage): shapes as clients read them."""

import json
from typing import Any

_WHEN = "2026-11-22T08:00:00Z"
_OPENAI = {"01API": "Chat Completions", "02RSP": "Responses", "03GPT": "ChatGPT", "04LOG": "Login"}
_CLAUDE = {"c1": "claude.ai", "c2": "Claude API (api.anthropic.com)", "c3": "Claude Code", "c4": "platform.claude.com"}
_BAD = {"incident": "major_outage", "degraded": "degraded_performance", "unknown": "wobbling"}
_INCIDENTS = {"incident", "unknown"}


def openai(path: str, state: str) -> tuple[int, Any] | None:
    """Answer for status.openai.com: status and document; None where nothing is.

    Args:
        state: One of `tests.network.http_faults.status`, or empty.
    """
    if path == "/proxy/status.openai.com":
        return 200, _native(state)
    if path == "/api/v2/incidents/unresolved.json":
        return 404, {"error": "not found"}
    return _statuspage(path, "OpenAI", _OPENAI, "01API", state)


def claude(path: str, state: str) -> tuple[int, Any] | None:
    """Answer for status.claude.com."""
    return _statuspage(path, "Claude", _CLAUDE, "c2", state)


def _statuspage(path: str, name: str, components: dict[str, str], hit: str, state: str) -> tuple[int, Any] | None:
    page = {
        "id": "abc123",
        "name": name,
        "url": f"https://status.{name.lower()}.com",
        "time_zone": "Etc/UTC",
        "updated_at": _WHEN,
    }
    listed = [
        {
            "id": one,
            "name": title,
            "status": _BAD[state] if one == hit and state in _BAD else "operational",
            "updated_at": _WHEN,
        }
        for one, title in components.items()
    ]
    incident = {
        "id": "inc1", "name": f"Elevated error rates on {components[hit]}", "impact": "major", "created_at": _WHEN,
        "status": "pondering" if state == "unknown" else "investigating", "shortlink": "https://stspg.io/inc1",
        "components": [one for one in listed if one["id"] == hit],
        "incident_updates": [{"id": "u1", "status": "investigating", "body": "We are looking into it.", "created_at": _WHEN}],
    }  # fmt: skip
    past = incident | {"id": "inc0", "name": "Login trouble", "status": "resolved", "resolved_at": _WHEN}
    opened = [incident] if state in _INCIDENTS else []
    indicator = {"incident": "major", "degraded": "minor", "unknown": "purple"}.get(state, "none")
    words = "All Systems Operational" if indicator == "none" else "Partially Degraded Service"
    head = {"page": page, "status": {"indicator": indicator, "description": words}}
    documents: dict[str, dict[str, Any]] = {
        "status": head,
        "summary": head | {"components": listed, "incidents": opened, "scheduled_maintenances": []},
        "components": {"page": page, "components": listed},
        "incidents": {"page": page, "incidents": [*opened, past]},
        "incidents/unresolved": {"page": page, "incidents": opened},
    }
    document = documents.get(path.removeprefix("/api/v2/").removesuffix(".json"))
    if document is None:
        return None
    if state == "missing":
        document = {key: value for key, value in document.items() if key == "page"}
    return 200, document


def _native(state: str) -> dict[str, Any]:
    if state == "missing":
        return {"summary": {}}
    affected = [{"component_id": "01API", "status": _BAD[state]}] if state in _BAD else []
    ongoing = [{
        "id": "inc1", "name": "Elevated error rates", "status": "investigating", "published_at": _WHEN,
        "affected_components": affected, "updates": [{"published_at": _WHEN, "message_string": "We are looking into it."}],
    }]  # fmt: skip
    return {"summary": {
        "components": [{"id": one, "name": title} for one, title in _OPENAI.items()],
        "affected_components": affected,
        "structure": {"items": [{"group": {"name": "APIs", "components": [{"component_id": "01API"}, {"component_id": "02RSP"}]}}]},
        "ongoing_incidents": ongoing if state in _INCIDENTS else [],
    }}  # fmt: skip


def body(document: Any) -> bytes:
    """Write it as sent."""
    return json.dumps(document).encode()
