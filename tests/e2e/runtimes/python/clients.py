"""An app that knows nothing of the gateway: one function for each Python client, as its users write it.

Reads one line of tab-separated fields for each call and writes one JSON line for each. What a proxy, a certificate or
a base URL is, the libraries learn from the environment; nothing here names a gateway. The same file serves several
interpreters, because no single one can hold all the libraries' versions.
"""

# mypy: disable-error-code="import-not-found,import-untyped"

import asyncio
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple


class Job(NamedTuple):
    """One call. A raw client needs the first half, an SDK the second."""

    id: str
    client: str
    variable: str
    base: str
    path: str
    headers: str
    body: str
    key: str
    model: str
    prompt: str
    stream: str
    protocol: str

    @property
    def url(self) -> str:
        return os.environ.get(self.variable, self.base) + self.path

    @property
    def fields(self) -> dict[str, str]:
        return dict(field.split(": ", 1) for field in self.headers.split("|"))

    @property
    def streamed(self) -> bool:
        return self.stream == "1"

    @property
    def messages(self) -> Any:
        return [{"role": "user", "content": self.prompt}]

    @property
    def named_base(self) -> dict[str, Any]:
        """What a user adds for a provider that the SDK does not know by itself."""
        own = {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"}
        return {} if self.variable in own else {"base_url": os.environ.get(self.variable, self.base)}


class Raw(NamedTuple):
    """An answer nobody has read yet."""

    status: int
    body: bytes


def with_urllib(job: Job) -> Raw:
    from urllib.request import Request, urlopen

    with urlopen(Request(job.url, job.body.encode(), job.fields), timeout=20) as answer:
        return Raw(answer.status, b"".join(answer) if job.streamed else answer.read())


def with_requests(job: Job) -> Raw:
    import requests

    answer = requests.post(job.url, data=job.body, headers=job.fields, stream=job.streamed, timeout=20)
    lines = answer.iter_lines() if job.streamed else [answer.content]
    return Raw(answer.status_code, b"\n".join(lines))


def with_httpx(job: Job) -> Raw:
    import httpx

    with (
        httpx.Client(timeout=20) as client,
        client.stream("POST", job.url, content=job.body, headers=job.fields) as answer,
    ):
        return Raw(answer.status_code, "\n".join(answer.iter_lines()).encode())


async def with_aiohttp(job: Job) -> Raw:
    import aiohttp

    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        session.post(job.url, data=job.body, headers=job.fields) as answer,
    ):
        return Raw(answer.status, b"".join([line async for line in answer.content]))


def with_urllib3(job: Job) -> Raw:
    """urllib3 itself reads no variable; its users hand it the proxy."""
    import urllib3

    proxy = os.environ.get("HTTPS_PROXY")
    pool = urllib3.ProxyManager(proxy) if proxy and job.url.startswith("https:") else urllib3.PoolManager()
    answer = pool.request("POST", job.url, body=job.body, headers=job.fields, preload_content=not job.streamed)
    return Raw(answer.status, b"".join(answer.stream(64)) if job.streamed else answer.data)


def with_openai(job: Job) -> str:
    import openai

    return _with_chat(openai.OpenAI(api_key=job.key, **job.named_base), job)


def with_azure(job: Job) -> str:
    import openai

    endpoint = os.environ.get(job.variable, job.base)
    return _with_chat(openai.AzureOpenAI(azure_endpoint=endpoint, api_key=job.key, api_version="2024-10-21"), job)


def _with_chat(client: Any, job: Job) -> str:
    if not job.streamed:
        whole = client.chat.completions.create(model=job.model, messages=job.messages)
        return whole.choices[0].message.content or ""
    parts = client.chat.completions.create(model=job.model, messages=job.messages, stream=True)
    return "".join(part.choices[0].delta.content or "" for part in parts if part.choices)


def with_anthropic(job: Job) -> str:
    import anthropic

    client = anthropic.Anthropic(api_key=job.key)
    if not job.streamed:
        whole = client.messages.create(model=job.model, max_tokens=100, messages=job.messages)
        return "".join(block.text for block in whole.content if block.type == "text")
    with client.messages.stream(model=job.model, max_tokens=100, messages=job.messages) as parts:
        return "".join(parts.text_stream)


def with_google_genai(job: Job) -> str:
    """It reads GOOGLE_GEMINI_BASE_URL itself."""
    from google import genai  # type: ignore[attr-defined,unused-ignore]

    with genai.Client(api_key=job.key) as client:
        if not job.streamed:
            return str(client.models.generate_content(model=job.model, contents=job.prompt).text)
        parts = client.models.generate_content_stream(model=job.model, contents=job.prompt)
        return "".join(part.text or "" for part in parts)


def with_langchain(job: Job) -> str:
    model: Any
    if job.protocol == "messages":
        from langchain_anthropic import ChatAnthropic

        model = ChatAnthropic(model=job.model, api_key=job.key, max_tokens=100)
    else:
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(model=job.model, api_key=job.key, **job.named_base)
    if not job.streamed:
        return str(model.invoke(job.prompt).text)
    return "".join(part.text for part in model.stream(job.prompt))


def _for_litellm(job: Job) -> dict[str, Any]:
    prefix = "anthropic" if job.protocol == "messages" else "openai"
    words = {"model": f"{prefix}/{job.model}", "messages": job.messages, "api_key": job.key, "max_tokens": 100}
    return words | ({"api_base": job.named_base["base_url"]} if job.named_base else {})


def with_litellm(job: Job) -> str:
    import litellm

    if not job.streamed:
        return str(litellm.completion(**_for_litellm(job)).choices[0].message.content)
    parts = litellm.completion(**_for_litellm(job), stream=True)
    return "".join(part.choices[0].delta.content or "" for part in parts)


async def with_litellm_async(job: Job) -> str:
    import litellm

    if not job.streamed:
        return str((await litellm.acompletion(**_for_litellm(job))).choices[0].message.content)
    parts = await litellm.acompletion(**_for_litellm(job), stream=True)
    return "".join([part.choices[0].delta.content or "" async for part in parts])


CLIENTS: dict[str, tuple[str, Callable[[Job], Any]]] = {
    "urllib": ("", with_urllib),
    "requests": ("requests", with_requests),
    "httpx": ("httpx", with_httpx),
    "aiohttp": ("aiohttp", with_aiohttp),
    "urllib3": ("urllib3", with_urllib3),
    "openai": ("openai", with_openai),
    "anthropic": ("anthropic", with_anthropic),
    "azure": ("openai", with_azure),
    "google-genai": ("google-genai", with_google_genai),
    "langchain-openai": ("langchain-openai", with_langchain),
    "langchain-anthropic": ("langchain-anthropic", with_langchain),
    "litellm": ("litellm", with_litellm),
    "litellm-async": ("litellm", with_litellm_async),
}
"""The package whose version counts, and the call."""


def version_of(package: str) -> str:
    return importlib.metadata.version(package) if package else sys.version.split()[0]


def answer_of(job: Job) -> dict[str, Any]:
    """Make one call and say what came of it."""
    package, call = CLIENTS[job.client]
    said: dict[str, Any] = {"id": job.id, "version": version_of(package)}
    try:
        found = call(job)
        if asyncio.iscoroutine(found):
            found = asyncio.run(found)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test wants to know
        return said | {"error": f"{type(error).__name__}: {error}".encode().hex()}
    if isinstance(found, Raw):
        return said | {"status": found.status, "body": found.body.hex()}
    return said | {"text": found}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer_of(Job(*line.rstrip("\n").split("\t")))), flush=True)
