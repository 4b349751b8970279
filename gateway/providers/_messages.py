"""Anthropic's Messages protocol as a second face of providers whose first is OpenAI's."""

from collections.abc import Mapping

from gateway.model.provider import Endpoint, Usage
from gateway.providers import anthropic, openai

ENDPOINTS: Mapping[str, Endpoint] = {
    "/messages": anthropic.PROVIDER.endpoints["/v1/messages"],
    "/messages/count_tokens": anthropic.PROVIDER.endpoints["/v1/messages/count_tokens"],
}


def read_usage(document: dict[str, object]) -> Usage | None:
    """Read the usage of a body or event of either protocol."""
    usage = document.get("usage")
    theirs = isinstance(document.get("message"), dict) or (isinstance(usage, dict) and "prompt_tokens" not in usage)
    return anthropic.read_usage(document) if theirs else openai.read_usage(document)
