"""The app of the demo: an ordinary program that calls two LLM APIs and knows of no gateway.

It reads what the official SDKs and their HTTP clients read from the environment (``OPENAI_BASE_URL``,
``ANTHROPIC_BASE_URL``, ``HTTPS_PROXY``, ``SSL_CERT_FILE``) and nothing else. It never retries. On stdout it reports in
lines of JSON: how many calls it is about to make, and how they went.

    python -m gateway.demo.app job        many calls at once, then the same few prompts again and again
    python -m gateway.demo.app mistakes   one call of each kind that cannot succeed
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

OPENAI_KEY = "sk-demo-not-a-real-key"
SEARCH_KEY = "sk-demo-not-a-real-key-either"
ANTHROPIC_KEY = "sk-ant-demo-not-a-real-key"
WRONG_KEY = "sk-ant-demo-bad-key"

CHAT_MODEL = "gpt-4o-mini"
CLAUDE_MODEL = "claude-sonnet-4-5"
EMBEDDING_MODEL = "text-embedding-3-small"

OPENAI_TICKETS = 20
ANTHROPIC_TICKETS = 12
REPEATS = 4
TIMEOUT_SECONDS = 60.0
LOOKUP_SECONDS = 8.0
"""How long a name that does not exist may take to be not found; some networks answer that late."""

STREAMED: Mapping[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}

_END_MARKS = ("data: [DONE]", '"type":"message_stop"')


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: where to, as whom, what."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Tally:
    """How calls went. ``answered`` counts whole answers; ``by_status`` has 0 for those without a status."""

    calls: int = 0
    answered: int = 0
    by_status: Counter[int] = field(default_factory=Counter)

    def note(self, status: int, *, whole: bool) -> None:
        """Count one call."""
        self.calls += 1
        self.answered += whole
        self.by_status[status] += 1


class App:
    """Makes calls with one HTTP client."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._openai = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
        self._anthropic = os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
        self.tally = Tally()

    def chat(self, prompt: str, model: str = CHAT_MODEL, **more: Any) -> Ask:
        """Ask OpenAI."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
        return Ask(f"{self._openai}/chat/completions", {"authorization": f"Bearer {OPENAI_KEY}"}, body)

    def embedding(self, text: str) -> Ask:
        """Ask OpenAI for a vector."""
        body = {"model": EMBEDDING_MODEL, "input": text}
        return Ask(f"{self._openai}/embeddings", {"authorization": f"Bearer {SEARCH_KEY}"}, body)

    def message(self, prompt: str, model: str = CLAUDE_MODEL, key: str = ANTHROPIC_KEY, **more: Any) -> Ask:
        """Ask Anthropic."""
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        body = {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": prompt}], **more}
        return Ask(f"{self._anthropic}/v1/messages", headers, body)

    async def call(self, ask: Ask) -> None:
        """Make one call, and count how it went."""
        status, whole = 0, False
        try:
            async with self._client.stream("POST", ask.url, headers=ask.headers, json=ask.body) as response:
                status = response.status_code
                text = (await response.aread()).decode(errors="replace")
            whole = status == 200 and (not ask.body.get("stream") or any(mark in text for mark in _END_MARKS))
        except httpx2.HTTPError:
            pass
        self.tally.note(status, whole=whole)

    async def in_turn(self, asks: Iterable[Ask]) -> None:
        """Make calls one after the other."""
        for ask in asks:
            await self.call(ask)

    async def nowhere(self) -> None:
        """Look for a host that does not exist. ``.invalid`` never does (RFC 2606)."""
        status = 0
        with suppress(httpx2.HTTPError):
            status = (await self._client.get("https://no-such-host.invalid/", timeout=LOOKUP_SECONDS)).status_code
        self.tally.note(status, whole=False)


async def job(app: App) -> None:
    """Work through a pile of tickets all at once, then through questions that come again."""
    await asyncio.gather(
        *(
            app.call(app.chat(f"Summarise support ticket {1000 + n} in one short sentence, please.", stream=n % 3 == 0))
            for n in range(OPENAI_TICKETS)
        ),
        *(
            app.call(app.message(f"Draft a kind reply to ticket {2000 + n}, two lines at most.", stream=n % 2 == 0))
            for n in range(ANTHROPIC_TICKETS)
        ),
    )
    same: Sequence[Ask] = (
        app.chat("Which department handles refunds? Answer with one word.", temperature=0),
        app.chat("Translate 'your order has shipped' into Italian.", temperature=0, **STREAMED),
        app.message("Is 'where is my parcel' a complaint? Answer yes or no.", temperature=0),
        app.embedding("where is my parcel"),
        app.embedding("how do I return a pair of shoes"),
    )
    await asyncio.gather(*(app.in_turn([ask] * REPEATS) for ask in same))


async def mistakes(app: App) -> None:
    """Make one call of each kind that cannot succeed."""
    await asyncio.gather(
        app.nowhere(),
        app.call(app.chat("Anything.", model="simulate:quota.exhausted")),
        app.call(app.message("Anything.", key=WRONG_KEY)),
        app.call(app.chat("Far too much text.", model="simulate:request.context_length")),
        app.call(app.message("Anything.", model="no-such-model")),
        app.call(app.chat("Anything.", model="simulate:network.connection_reset")),
        app.call(app.message("Tell me a long story.", model="simulate:network.stream_interrupted", stream=True)),
    )


PARTS = {"job": job, "mistakes": mistakes}


async def main(part: str) -> None:
    """Run one part and report it."""
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        app = App(client)
        began = time.monotonic()
        work: Awaitable[None] = PARTS[part](app)
        await work
        tally = app.tally
    report = {
        "calls": tally.calls,
        "answered": tally.answered,
        "by_status": tally.by_status,
        "seconds": time.monotonic() - began,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
