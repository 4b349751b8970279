# ruff: noqa: BLE001, INP001, S310, SIM117 - a program of its own for any Python, run in the place of the user's
"""Asks a URL once by each usual means of Python, and prints what came back. Also runs on Python 3.7.

Arguments: a token, a URL to ask by proxy, a base URL or nothing. The gateway answers whoever carries the token by
giving it back; a provider answers that there is no key.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import platform
import sys
import urllib.error
import urllib.request
from typing import Any

SECONDS = 10
HEADER = "x-whygate-canary"


def with_urllib(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Give status and headers; the standard library."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SECONDS) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers


def with_requests(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Give status and headers."""
    answer = importlib.import_module("requests").get(url, headers=headers, timeout=SECONDS, allow_redirects=False)
    return answer.status_code, answer.headers


def with_httpx(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Give status and headers; what most versions of the official SDKs use."""
    answer = importlib.import_module("httpx").get(url, headers=headers, timeout=SECONDS)
    return answer.status_code, answer.headers


def with_httpx2(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Give status and headers; what newer versions of the official SDKs use."""
    answer = importlib.import_module("httpx2").get(url, headers=headers, timeout=SECONDS)
    return answer.status_code, answer.headers


def with_aiohttp(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Give status and headers; as most programs use it, without trust_env."""
    aiohttp = importlib.import_module("aiohttp")

    async def ask() -> tuple[int, Any]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                return answer.status, answer.headers

    return asyncio.run(ask())


MEANS = {
    "urllib": with_urllib,
    "requests": with_requests,
    "httpx": with_httpx,
    "httpx2": with_httpx2,
    "aiohttp": with_aiohttp,
}


def is_there(name: str) -> bool:
    """Whether a library can be used here."""
    try:
        importlib.import_module("urllib.request" if name == "urllib" else name)
    except Exception:
        return False
    return True


def attempt(name: str, way: str, token: str, url: str) -> dict[str, Any]:
    """Ask once."""
    found: dict[str, Any] = {"name": name, "way": way}
    try:
        status, headers = MEANS[name](url, {HEADER: token})
        found.update(status=status, echo=headers.get(HEADER, ""), flow=headers.get("x-whygate-flow-id", ""))
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def main() -> None:
    """Ask by every means that is there, each way."""
    token, url, base = sys.argv[1:4]
    ways = [("proxy", url)] + ([("base_url", base + "/models")] if base else [])
    means = [attempt(name, way, token, place) for name in MEANS if is_there(name) for way, place in ways]
    print(json.dumps({"whygate_canary": "Python " + platform.python_version(), "means": means}))


main()
