"""An app that knows nothing of the gateway: it makes calls with the official SDKs and says what it saw of each.

Reads one JSON line for each batch of calls, writes one JSON line with the results. What a proxy, a certificate or a
base URL is, it learns from its environment alone, as any app does.
"""

import asyncio
import base64
import contextlib
import hashlib
import inspect
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any


@cache
def base_client(sdk: str, *, asynchronous: bool) -> Any:
    """Give the one client of its kind; `with_options` shares its connections."""
    if sdk == "openai":
        import openai

        return openai.AsyncOpenAI(api_key="x") if asynchronous else openai.OpenAI(api_key="x")
    import anthropic

    return anthropic.AsyncAnthropic(api_key="x") if asynchronous else anthropic.Anthropic(api_key="x")


def client_for(job: dict[str, Any]) -> Any:
    options = {name: job[name] for name in ("max_retries", "timeout") if name in job}
    client = base_client(job["sdk"], asynchronous=job["style"] == "async")
    return client.with_options(api_key=job["key"], **options)


def resource_of(client: Any, api: str) -> Any:
    return {"chat": lambda: client.chat.completions, "responses": lambda: client.responses}.get(
        api, lambda: client.messages
    )()


def question(job: dict[str, Any]) -> dict[str, Any]:
    words: dict[str, Any] = {"model": job["model"], "extra_headers": job.get("headers", {})}
    if job["api"] == "responses":
        words["input"] = job["prompt"]
    else:
        words["messages"] = [{"role": "user", "content": job["prompt"]}]
    if job["api"] == "messages":
        words["max_tokens"] = 1000
    if job.get("stream"):
        words["stream"] = True
    words |= job.get("more", {})
    return words


def piece(event: Any) -> str:
    """Give the text of one event of any of the three protocols."""
    if hasattr(event, "choices"):
        return (event.choices[0].delta.content or "") if event.choices else ""
    if event.type == "response.output_text.delta":
        return str(event.delta)
    if event.type == "content_block_delta":
        return str(event.delta.text)
    return ""


def text_of(answer: Any) -> str:
    if hasattr(answer, "choices"):
        return str(answer.choices[0].message.content)
    return (
        str(answer.output_text) if hasattr(answer, "output_text") else "".join(block.text for block in answer.content)
    )


def failure_of(error: Exception) -> dict[str, Any]:
    """Say of an exception what an app could find out."""
    seen: dict[str, Any] = {
        "kind": type(error).__name__,
        "kinds": [base.__name__ for base in type(error).__mro__],
        "message": str(error),
        "body": getattr(error, "body", None),
    }
    response = getattr(error, "response", None)
    if response is not None:
        seen["status"], seen["headers"] = response.status_code, dict(response.headers)
        with contextlib.suppress(RuntimeError):  # an error inside a stream has no body of its own
            seen["content"] = base64.b64encode(response.content).decode()
    return seen


def call(job: dict[str, Any]) -> dict[str, Any]:
    """Make one call with the synchronous client."""
    result: dict[str, Any] = {"text": "", "error": None, "headers": {}}
    began = time.monotonic()
    try:
        resource = resource_of(client_for(job), job["api"])
        if job.get("raw"):
            with resource.with_streaming_response.create(**question(job)) as raw:
                result["headers"] = dict(raw.headers)
                result["sha256"] = hashlib.sha256(b"".join(raw.iter_bytes())).hexdigest()
        else:
            answer = resource.with_raw_response.create(**question(job))
            result["headers"], result["status"] = dict(answer.headers), answer.status_code
            if job.get("stream"):
                for event in answer.parse():
                    result["text"] += piece(event)
            else:
                result["text"] = text_of(answer.parse())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test wants to know
        result["error"] = failure_of(error)
    return result | {"seconds": time.monotonic() - began}


async def settled(value: Any) -> Any:
    """Await what one SDK gives to be awaited and the other gives as it is."""
    return await value if inspect.isawaitable(value) else value


async def acall(job: dict[str, Any]) -> dict[str, Any]:
    """Make one call with the asynchronous client."""
    result: dict[str, Any] = {"text": "", "error": None, "headers": {}}
    began = time.monotonic()
    try:
        resource = resource_of(client_for(job), job["api"])
        if job.get("raw"):
            async with resource.with_streaming_response.create(**question(job)) as raw:
                result["headers"] = dict(raw.headers)
                digest = hashlib.sha256()
                async for data in raw.iter_bytes():
                    digest.update(data)
                result["sha256"] = digest.hexdigest()
        else:
            answer = await resource.with_raw_response.create(**question(job))
            result["headers"], result["status"] = dict(answer.headers), answer.status_code
            if job.get("stream"):
                async for event in await settled(answer.parse()):
                    result["text"] += piece(event)
            else:
                result["text"] = text_of(await settled(answer.parse()))
    except Exception as error:  # noqa: BLE001 - the same
        result["error"] = failure_of(error)
    return result | {"seconds": time.monotonic() - began}


async def batch(jobs: list[dict[str, Any]], *, together: bool) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()

    async def one(job: dict[str, Any]) -> dict[str, Any]:
        return await (acall(job) if job["style"] == "async" else loop.run_in_executor(THREADS, call, job))

    if together:
        return list(await asyncio.gather(*map(one, jobs)))
    return [await one(job) for job in jobs]


THREADS = ThreadPoolExecutor(64)


async def main() -> None:
    """Serve batches until the input ends."""
    loop = asyncio.get_running_loop()
    print(json.dumps({"ready": True}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        results = await batch(asked["jobs"], together=asked["together"])
        print(json.dumps(results, default=str), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
