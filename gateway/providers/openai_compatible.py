"""Whoever speaks OpenAI's protocol without being OpenAI: relays, local model servers, and the base of many providers.

Only what they have in common: chat completions, completions, embeddings and Responses as OpenAI documents them, a
bearer key, and an envelope that is one of several. A provider with a file of its own (`deepseek`, `groq`, ...) starts
from `PROVIDER` and says what differs.
"""

from dataclasses import replace

from gateway.model.provider import below
from gateway.providers import openai

PROVIDER = replace(
    openai.PROVIDER,
    name="openai_compatible",
    hosts=(),
    base_url_variables=(),
    scope_headers=(),
    name_target=below("/v1"),
)
