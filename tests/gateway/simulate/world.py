"""A simulator on a real socket, the official clients, and a clock that is moved by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import quote

import anthropic
import httpx2
import openai
from openai import AsyncAzureOpenAI

from gateway.simulate import ServerHandle, Simulator
from gateway.simulate.provider import Provider

KEY = "sk-simulated-0123456789"


class HandClock:
    """Seconds that pass only when told; starts at a whole number so that sums stay exact."""

    def __init__(self) -> None:
        """Start at 1,000 seconds."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class World:
    """A running simulator and clients of it."""

    def __init__(self, simulator: Simulator, handle: ServerHandle, stack: AsyncExitStack) -> None:
        """Hold what is running."""
        self.simulator = simulator
        self.handle = handle
        self.stack = stack

    @property
    def url(self) -> str:
        """Origin of the simulator."""
        return self.handle.url

    async def openai(self, key: str = KEY, retries: int = 0, prefix: str = "/v1") -> openai.AsyncOpenAI:
        """Return OpenAI's client, whose base URL ends with this prefix."""
        client = openai.AsyncOpenAI(base_url=f"{self.url}{prefix}", api_key=key, max_retries=retries, timeout=10)
        return await self.stack.enter_async_context(client)

    async def azure(self, key: str = KEY, retries: int = 0) -> AsyncAzureOpenAI:
        """Return OpenAI's client for Azure."""
        client = AsyncAzureOpenAI(
            azure_endpoint=self.url, api_version="2024-10-21", api_key=key, max_retries=retries, timeout=10
        )
        return await self.stack.enter_async_context(client)

    async def anthropic(self, key: str = KEY, retries: int = 0) -> anthropic.AsyncAnthropic:
        """Return Anthropic's client."""
        client = anthropic.AsyncAnthropic(base_url=self.url, api_key=key, max_retries=retries, timeout=10)
        return await self.stack.enter_async_context(client)

    async def http(self) -> httpx2.AsyncClient:
        """Return a plain client that sends a good key."""
        client = httpx2.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=10, trust_env=False
        )
        return await self.stack.enter_async_context(client)

    async def until_a_call_is_running(self) -> None:
        """Wait until at least one call is in progress; fail after 5 seconds."""
        async with asyncio.timeout(5):
            while not self.simulator.ledger.in_flight:  # noqa: ASYNC110 - nobody but tests waits for an arrival
                await asyncio.sleep(0.002)


def ask(provider: Provider, model: str, text: str = "one two three") -> tuple[str, dict[str, str], dict[str, object]]:
    """Return path, headers and body of a plain call as this provider's client sends it."""
    body = chat_body(text, model=model)
    match provider:
        case Provider.OPENAI:
            return "/v1/chat/completions", {}, body
        case Provider.ANTHROPIC:
            headers = {"anthropic-version": "2023-06-01", "x-api-key": KEY}
            return "/v1/messages", headers, body | {"max_tokens": 99}
        case Provider.AZURE:
            path = f"/openai/deployments/{quote(model, safe='')}/chat/completions?api-version=2024-10-21"
            return path, {"api-key": KEY, "authorization": ""}, {"messages": body["messages"]}
        case Provider.GEMINI:
            path = f"/v1beta/models/{quote(model, safe='')}:generateContent"
            return path, {"x-goog-api-key": KEY, "authorization": ""}, gemini_body(text)


def gemini_body(text: str = "one two three", **fields: object) -> dict[str, object]:
    """Return a request for content."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}


type Start = Callable[..., Awaitable[World]]


def chat_body(text: str = "one two three four five", **fields: object) -> dict[str, object]:
    """Return a chat request."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}
