"""The real clients, each call with a key and a mark of its own, and the client's ledger.

The official SDKs go through CONNECT and TLS as an app does that has HTTPS_PROXY set, or to a base URL in plain. Each
call has its own HTTP client, closed with it: nothing of one call is left when the next begins.
"""

import asyncio
import contextlib
import importlib
import itertools
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from tests.running import GatewayProcess, lane, plain, read_answer, reset

CALL_SECONDS = 90.0
"""No call of a test takes longer, whatever its own time limit."""

Sdk = Literal["openai", "anthropic"]
Style = Literal["async", "sync"]
Outcome = Literal["answer", "error", "exception", "left"]

_numbers = itertools.count(1)


class _LeftError(Exception):
    """The app has what it wanted and hangs up."""


@dataclass(frozen=True)
class Seen:
    """One HTTP answer, as the client saw its head."""

    status: int
    headers: Mapping[str, str]

    @property
    def flow_id(self) -> str:
        return self.headers.get("x-whygate-flow-id", "")

    @property
    def cause(self) -> str:
        return self.headers.get("x-whygate-cause", "")


@dataclass
class ClientRow:
    """One call in the client's ledger.

    Attributes:
        requests: HTTP requests that were made for it; an SDK that retries makes several.
        answers: The heads that came, in their order.
        outcome: ``answer`` is a whole one, ``error`` one with a status, ``exception`` anything else that was raised.
        exception: Names of the exception's classes, the first its own.
        cause: The verdict that the app could read: of a header, else of the error in a stream.
        text: What came of the answer.
        left_at: When the app hung up, monotonic seconds.
        at: When it began, the same.
        lossy: Something in between may take a connection with what was written to it, and give it to nobody.
    """

    mark: str
    key: str
    requests: int = 0
    answers: list[Seen] = field(default_factory=list)
    outcome: Outcome = "exception"
    status: int | None = None
    exception: tuple[str, ...] = ()
    message: str = ""
    cause: str = ""
    text: str = ""
    seconds: float = 0.0
    left_at: float | None = None
    at: float = field(default_factory=time.monotonic)
    lossy: bool = False

    @property
    def flow_ids(self) -> list[str]:
        return [answer.flow_id for answer in self.answers]


def new_key(sdk: Sdk = "openai") -> str:
    """Give a key that no other call has."""
    return f"{'sk-ant-api03' if sdk == 'anthropic' else 'sk-proj'}-fault-{next(_numbers):08d}-{'z' * 24}"


class Clients:
    """Makes calls through one gateway; ``rows`` is the ledger."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._trust = ssl.create_default_context(cafile=str(gateway.ca))
        self.rows: list[ClientRow] = []

    async def sdk(
        self,
        mark: str,
        *,
        sdk: Sdk = "openai",
        style: Style = "async",
        base_url: str | None = None,
        stream: bool = False,
        api: Literal["chat", "responses", "messages", "embeddings"] | None = None,
        max_retries: int = 0,
        timeout_seconds: float = 20.0,
        leave_after_events: int | None = None,
        leave_after_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> ClientRow:
        """Make one call with an official SDK; never raises for what the call meets.

        Args:
            base_url: Instead of the SDK's own. One of ``http://`` is asked for without the proxy: the gateway itself.
            leave_after_events: Hang up after so many events of a stream.
            leave_after_seconds: Hang up after so long, wherever the call stands; a blocking client cannot.
            more: Further arguments of the SDK's method, over ours.
            key: Of other calls, which it then shares; the ledgers tell them apart by what each has heard.
        """
        assert style == "async" or leave_after_seconds is None
        row = self._row(mark, key or new_key(sdk))
        importlib.import_module(sdk)  # which takes seconds: no part of the call
        began = time.monotonic()
        asking = _Asking(row, sdk, api or ("messages" if sdk == "anthropic" else "chat"), stream, leave_after_events)
        words = asking.words(headers, more)
        options: dict[str, Any] = {"api_key": row.key, "max_retries": max_retries, "timeout": timeout_seconds}
        if base_url is not None:
            options["base_url"] = base_url
        proxy = None if (base_url or "").startswith("http://") else self._gateway.proxy
        transport = {"proxy": proxy, "verify": self._trust, "trust_env": False, "timeout": timeout_seconds}
        try:
            async with asyncio.timeout(CALL_SECONDS), asyncio.timeout(leave_after_seconds) as leaving:
                if style == "sync":
                    await asyncio.to_thread(asking.blocking, options, transport, words)
                else:
                    await asking.awaiting(options, transport, words)
        except TimeoutError:
            if not leaving.expired():
                raise
            row.outcome, row.left_at = "left", time.monotonic()
        row.seconds = time.monotonic() - began
        return row

    async def raw(
        self,
        mark: str,
        *,
        way: Literal["lane", "plain"] = "lane",
        path: str = "/v1/chat/completions",
        body: bytes = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}',
        headers: Mapping[str, str] | None = None,
        host: str = "api.openai.com",
        leave_after_seconds: float | None = None,
    ) -> ClientRow:
        """Make one call on a socket: through CONNECT and TLS, or by a base URL (``path`` then begins with its name).

        Args:
            leave_after_seconds: Reset the connection after so long.
        """
        row = self._row(mark, new_key())
        began = time.monotonic()
        reader, writer = await (lane(self._gateway, host) if way == "lane" else plain(self._gateway))
        named = {
            "Host": host if way == "lane" else "localhost", "Authorization": f"Bearer {row.key}", "x-test-id": mark,
            "Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {}),
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        try:
            writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            row.requests += 1
            async with asyncio.timeout(CALL_SECONDS), asyncio.timeout(leave_after_seconds) as leaving:
                head, answer = await read_answer(reader)
            fields = dict(line.split(": ", 1) for line in head.decode("latin-1").lower().split("\r\n")[1:] if line)
            _answered(row, Seen(int(head.split(b" ", 2)[1]), fields))
            row.text = answer.decode("utf-8", "replace")
            row.outcome, row.status = ("answer" if row.answers[-1].status < 400 else "error"), row.answers[-1].status
        except TimeoutError:
            if not leaving.expired():
                raise
            reset(writer)
            row.outcome, row.left_at = "left", time.monotonic()
        except (OSError, asyncio.IncompleteReadError) as error:
            _raised(row, error)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        row.seconds = time.monotonic() - began
        return row

    def _row(self, mark: str, key: str) -> ClientRow:
        self.rows.append(row := ClientRow(mark, key))
        return row


class _Asking:
    """One call with an SDK."""

    def __init__(self, row: ClientRow, sdk: Sdk, api: str, stream: bool, leave_after_events: int | None) -> None:
        self._row, self._sdk, self._api, self._stream, self._leave = row, sdk, api, stream, leave_after_events

    def words(self, headers: Mapping[str, str] | None, more: Mapping[str, Any] | None) -> dict[str, Any]:
        said: dict[str, Any] = {"model": "claude-sonnet-5-5" if self._api == "messages" else "gpt-4o-mini"}
        if self._api in {"responses", "embeddings"}:
            said["input"] = "hi"
        else:
            said["messages"] = [{"role": "user", "content": "hi"}]
        if self._api == "messages":
            said["max_tokens"] = 100
        if self._stream:
            said["stream"] = True
        return {**said, "extra_headers": {"x-test-id": self._row.mark, **(headers or {})}, **(more or {})}

    async def awaiting(self, options: dict[str, Any], transport: dict[str, Any], words: dict[str, Any]) -> None:
        async def asked(_: httpx2.Request) -> None:
            self._row.requests += 1

        async def answered(response: httpx2.Response) -> None:
            _answered(self._row, Seen(response.status_code, dict(response.headers)))

        made = _made_by(self._sdk, "Async")
        hooks: dict[str, list[Any]] = {"request": [asked], "response": [answered]}
        async with httpx2.AsyncClient(**transport, event_hooks=hooks) as http:
            try:
                given = await self._method(made(http_client=http, **options))(**words)
                if self._stream:
                    async with given:
                        async for event in given:
                            self._heard(event)
                self._whole(given)
            except _LeftError:
                pass
            except Exception as error:  # noqa: BLE001 - what the app met is what is recorded
                _raised(self._row, error)

    def blocking(self, options: dict[str, Any], transport: dict[str, Any], words: dict[str, Any]) -> None:
        def asked(_: httpx2.Request) -> None:
            self._row.requests += 1

        def answered(response: httpx2.Response) -> None:
            _answered(self._row, Seen(response.status_code, dict(response.headers)))

        made = _made_by(self._sdk)
        with httpx2.Client(**transport, event_hooks={"request": [asked], "response": [answered]}) as http:
            try:
                given = self._method(made(http_client=http, **options))(**words)
                if self._stream:
                    with given:
                        for event in given:
                            self._heard(event)
                self._whole(given)
            except _LeftError:
                pass
            except Exception as error:  # noqa: BLE001 - the same
                _raised(self._row, error)

    def _method(self, client: Any) -> Any:
        found = {
            "chat": lambda: client.chat.completions, "responses": lambda: client.responses,
            "messages": lambda: client.messages, "embeddings": lambda: client.embeddings,
        }  # fmt: skip
        return found[self._api]().create

    def _heard(self, event: Any) -> None:
        row = self._row
        piece = _piece(event)
        row.text += piece
        if piece and self._leave is not None:
            self._leave -= 1
            if self._leave <= 0:
                row.outcome, row.left_at = "left", time.monotonic()
                raise _LeftError

    def _whole(self, given: Any) -> None:
        self._row.outcome, self._row.status = "answer", self._row.answers[-1].status
        if not self._stream:
            self._row.text = _text(given)


def _made_by(sdk: Sdk, kind: str = "") -> Any:
    """Give an SDK's client class."""
    return getattr(importlib.import_module(sdk), kind + {"openai": "OpenAI", "anthropic": "Anthropic"}[sdk])


def _answered(row: ClientRow, seen: Seen) -> None:
    row.answers.append(seen)
    row.cause = seen.cause or row.cause


def _raised(row: ClientRow, error: Exception) -> None:
    status = getattr(error, "status_code", None)
    row.outcome, row.status = ("error" if status is not None else "exception"), status
    row.exception = tuple(kind.__name__ for kind in type(error).__mro__[:-3])
    row.message = str(error)
    if status is None and (code := _code_of(error)):
        row.cause = code


def _code_of(error: Exception) -> str:
    """Give the code that an error inside a stream carries."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        return str(inner.get("code") or inner.get("type") or "") if isinstance(inner, dict) else ""
    return str(getattr(error, "code", "") or "")


def _piece(event: Any) -> str:
    if hasattr(event, "choices"):
        return str(event.choices[0].delta.content or "") if event.choices else ""
    if event.type == "response.output_text.delta":
        return str(event.delta)
    return str(event.delta.text) if event.type == "content_block_delta" else ""


def _text(answer: Any) -> str:
    if hasattr(answer, "choices"):
        return str(answer.choices[0].message.content)
    if hasattr(answer, "output_text"):
        return str(answer.output_text)
    return "".join(part.text for part in answer.content) if hasattr(answer, "content") else json.dumps(len(answer.data))
