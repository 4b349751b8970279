"""A row as a command of curl and as a few lines of Python that ask again. Never with a key or a prompt: a row has none.

The key is read from the variable that the provider's users set anyway. Whatever stands in a row comes out as data: a
word of the command, or a literal of the program. Both are pure ASCII. Pure.
"""

import json
import re
import shlex
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from gateway._discover import discover
from gateway.model.provider import Provider
from gateway.model.secret import STRUCK
from gateway.record.har import ASKING, Row, header_of, url_of

_KEY_VARIABLES = {"azure": "AZURE_OPENAI_API_KEY", "zhipu": "ZAI_API_KEY", "openai_compatible": "OPENAI_API_KEY"}
"""Where it is not the provider's name and ``_API_KEY``."""
_VERSION_HEADERS = ("anthropic-version", "anthropic-beta", "openai-beta", "openai-version")
_METHOD = re.compile(r"[A-Z]{3,10}")
_PLAIN_VALUE = re.compile(r"[!-~](?:[ -~]{0,500}[!-~])?")
_MIN_MAX_TOKENS = 64
_METHODS_OF_SDK = {
    "chat.completions": "chat.completions.create",
    "completions": "completions.create",
    "responses": "responses.create",
    "embeddings": "embeddings.create",
    "moderations": "moderations.create",
}
_PROMPTS = ("messages", "contents", "content", "input", "prompt", "query", "requests", "instances")
_NOT_OPENAI = frozenset({"anthropic", "azure", "gemini"})
"""Providers whose own SDK is another, or is set up otherwise."""
_DEPLOYMENTS = "/openai/deployments/"


class Request(NamedTuple):
    """What is asked again.

    Attributes:
        headers: Those that say what is asked for, without the credential.
        body: None where the request has none that we can write.
        variable: The environment variable of the key; empty where no key is sent.
        key_header: Where the key stands.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: dict[str, Any] | None
    variable: str
    key_header: str


def key_variable(provider: str) -> str:
    """Give the environment variable that usually holds the key of a provider."""
    usual = re.sub(r"[^A-Z0-9]+", "_", provider.upper()).strip("_")
    return _KEY_VARIABLES.get(provider) or (f"{usual}_API_KEY" if usual and not usual[0].isdigit() else "API_KEY")


def curl_words(row: Row) -> list[str]:
    """Give the words of the command; the credential's holds ``$NAME``, which the shell fills in."""
    asked = request_of(row)
    words = ["curl", "--globoff", "--silent", "--show-error", "--include", "--max-time", "120"]
    words += ["--request", asked.method, asked.url]
    for name, value in asked.headers:
        words += ["--header", f"{name}: {value}"]
    if asked.variable:
        words += ["--header", _credential(asked)]
    if asked.body is not None:
        words += ["--data", json.dumps(asked.body)]
    return words


def curl(row: Row) -> str:
    """Give the command on one line, for any POSIX shell."""
    asked = request_of(row)
    credential = _credential(asked) if asked.variable else ""
    # Double quotes, so that the variable counts; what stands between them is ours.
    return " ".join(f'"{word}"' if word == credential else shlex.quote(word) for word in curl_words(row))


def script(row: Row) -> str:
    """Give a shell script that asks again."""
    lines = ["#!/bin/sh", *_remarks(row), curl(row)]
    if row.get("kind") == "websocket":
        lines.insert(-1, "# An upgrade to WebSocket: the answer should be 101.")
    return "\n".join(lines) + "\n"


def python(row: Row) -> str:
    """Give a program that asks again: with the provider's SDK where it has one, else with httpx."""
    asked = request_of(row)
    return "\n".join((*_remarks(row), "", *(_with_own_sdk(row, asked) or _with_httpx(asked)))) + "\n"


def _with_own_sdk(row: Row, asked: Request) -> list[str]:
    endpoint, provider = str(row.get("endpoint") or ""), str(row.get("provider") or "")
    if asked.body is None or not asked.variable or asked.method != "POST":
        return []
    if endpoint == "messages" and provider != "azure":
        return _with_sdk(
            "anthropic.Anthropic", "messages.create", asked, "/v1/messages", is_own=provider == "anthropic"
        )
    if provider == "gemini" and "contents" in asked.body:
        return _with_genai(row, asked)
    method, path = _METHODS_OF_SDK.get(endpoint, ""), "/" + endpoint.replace(".", "/")
    if method and provider == "azure" and _DEPLOYMENTS in asked.url:
        return _with_azure(method, asked)
    if method and provider not in _NOT_OPENAI:
        return _with_sdk("openai.OpenAI", method, asked, path, is_own=provider == "openai")
    return []


def _remarks(row: Row) -> list[str]:
    size = f" It had {size_bytes:,} bytes." if (size_bytes := row.get("request_bytes")) else ""
    told = f"Call {_word(row.get('id'))} of {_word(row.get('started_at'))}"
    ended = f"status {_word(row['status'])}" if row.get("status") else "no answer"
    cause = f", verdict {_word(row['cause'])}" if row.get("cause") else ""
    lines = [f"# {told}: {ended}{cause}."]
    if request_of(row).body is not None:
        lines.append(f"# The prompt is left out here: put yours in its place.{size}")
    return lines


def _word(value: object) -> str:
    """Give a value for a comment: one line, whatever it holds."""
    return re.sub(r"[^\w.:+-]", "?", str(value), flags=re.ASCII)[:80]


def request_of(row: Row) -> Request:
    """Give what is asked again; the prompt is left out of its body."""
    method = str(row.get("method") or "GET")
    method = method if _METHOD.fullmatch(method) and method != "CONNECT" else "GET"
    headers = [(name, value) for name in _VERSION_HEADERS if _PLAIN_VALUE.fullmatch(value := header_of(row, name))]
    provider = _providers().get(str(row.get("provider") or ""))
    if _protocol(row) == "anthropic" and not header_of(row, "anthropic-version"):
        headers.append(("anthropic-version", "2023-06-01"))
    body = _body(row, provider) if method in ASKING else None
    if body is not None:
        headers.append(("content-type", "application/json"))
    if row.get("kind") == "websocket":
        headers += [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
        headers.append(("sec-websocket-key", "d2h5Z2F0ZSBhc2tzIGFnYQ=="))
    keyed = row.get("kind") != "tunnel" and bool(row.get("provider"))
    return Request(
        method=method,
        url=_without_struck(url_of(row)).replace("wss://", "https://", 1).replace("ws://", "http://", 1),
        headers=tuple(headers),
        body=body,
        variable=key_variable(str(row["provider"])) if keyed else "",
        key_header=provider.key_headers[0].decode() if provider is not None else "authorization",
    )


def _protocol(row: Row) -> str:
    """Tell whose protocol a call speaks, where that is not the provider's own."""
    return "anthropic" if row.get("endpoint") in {"messages", "messages.count_tokens"} else str(row.get("provider"))


def _without_struck(url: str) -> str:
    """Leave out what the log did not keep of the query: the key stands in a header, the rest nobody knows."""
    base, mark, query = url.partition("?")
    kept = [pair for pair in query.split("&") if pair and STRUCK not in pair]
    return base + (mark + "&".join(kept) if kept else "")


def _body(row: Row, provider: Provider | None) -> dict[str, Any] | None:
    """Give a body that the endpoint accepts, with a remark in the prompt's place; None for an upload."""
    endpoint = str(row.get("endpoint") or "")
    if header_of(row, "content-type").startswith("multipart/"):
        return None
    kinds = provider.endpoints.values() if provider is not None else ()
    fields = next((kind.prompt_fields for kind in kinds if kind.name == endpoint), ())
    size = f" of {size_bytes:,} bytes" if (size_bytes := row.get("request_bytes")) else ""
    left_out = f"[left out by whygate: the prompt of a request{size}]"
    body: dict[str, Any] = {}
    if row.get("model") and "contents" not in fields and "content" not in fields:
        body["model"] = str(row["model"])
    match next((name for name in _PROMPTS if name in fields), None):
        case "messages":
            body["messages"] = [{"role": "user", "content": left_out}]
        case "contents":
            body["contents"] = [{"role": "user", "parts": [{"text": left_out}]}]
        case "content":
            body["content"] = {"parts": [{"text": left_out}]}
        case None:
            body["left_out"] = left_out
        case name:
            body[name] = left_out
    if _protocol(row) == "anthropic" and endpoint == "messages":
        body["max_tokens"] = _MIN_MAX_TOKENS
    if row.get("stream") and "contents" not in fields:
        body["stream"] = True
    return body


def _with_sdk(kind: str, method: str, asked: Request, path: str, *, is_own: bool) -> list[str]:
    """Give the program with an SDK; its own provider's needs neither address nor key."""
    address, _, query = asked.url.partition("?")
    extra = {name: value for name, value in asked.headers if name in _VERSION_HEADERS and name != "anthropic-version"}
    given = {"default_query": dict(parse_qsl(query)), "default_headers": extra}
    settings = [f'    "{name}": {value!a},' for name, value in given.items() if value]
    if not is_own:
        settings.append(f'    "base_url": {address.removesuffix(path)!a},')
        settings.append(f'    "api_key": os.environ["{asked.variable}"],')
    lines = [*(["import os", ""] * (not is_own)), f"import {kind.partition('.')[0]}", ""]
    if is_own:
        lines.append(f"# The key is read from {asked.variable}.")
    lines += ["settings = {", *settings, "}"] if settings else []
    return [*lines, f"client = {kind}({'**settings' if settings else ''})", *_asking(method, asked)]


def _with_azure(method: str, asked: Request) -> list[str]:
    address, _, query = asked.url.partition("?")
    version = dict(parse_qsl(query)).get("api-version", "")
    endpoint = address.partition(_DEPLOYMENTS)[0]
    client = f"openai.AzureOpenAI(azure_endpoint={endpoint!a}, api_version={version!a})"
    key = f"# The key is read from {asked.variable}."
    return ["import openai", "", key, f"client = {client}", *_asking(method, asked)]


def _with_genai(row: Row, asked: Request) -> list[str]:
    stream = "_stream" if row.get("stream") else ""
    told = (asked.body or {})["contents"][0]["parts"][0]["text"]
    call = f"client.models.generate_content{stream}(model={str(row.get('model') or '')!a}, contents={told!a})"
    key = f"# The key is read from {asked.variable}."
    lines = ["from google import genai", "", key, "client = genai.Client()", f"answer = {call}"]
    return [*lines, *_printing(streams=bool(stream))]


def _asking(method: str, asked: Request) -> list[str]:
    body = asked.body or {}
    words = [f"    {name}={value!a}," for name, value in body.items()]
    return [f"answer = client.{method}(", *words, ")", *_printing(streams=bool(body.get("stream")))]


def _printing(*, streams: bool) -> list[str]:
    return ["for part in answer:", "    print(part)"] if streams else ["print(answer)"]


def _with_httpx(asked: Request) -> list[str]:
    lines = ["import os", "", "import httpx", ""] if asked.variable else ["import httpx", ""]
    if asked.variable:
        lines.append(f'key = os.environ["{asked.variable}"]')
    lines.append("headers = {")
    lines += [f"    {name!a}: {value!a}," for name, value in asked.headers]
    if asked.variable:
        value = 'f"Bearer {key}"' if asked.key_header == "authorization" else "key"
        lines.append(f"    {asked.key_header!a}: {value},")
    body = "" if asked.body is None else f", json={asked.body!a}"
    asking = f"httpx.request({asked.method!a}, {asked.url!a}, headers=headers{body}, timeout=120)"
    return [*lines, "}", f"answer = {asking}", "print(answer.status_code, answer.headers, answer.text)"]


def _credential(asked: Request) -> str:
    scheme = "Bearer " if asked.key_header == "authorization" else ""
    return f"{asked.key_header}: {scheme}${asked.variable}"


@cache
def _providers() -> dict[str, Provider]:
    return {provider.name: provider for provider in discover("gateway.providers", "PROVIDER", Provider).values()}
