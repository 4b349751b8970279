"""What an error says, in whatever envelope: the provider's own reader first, then every shape that services write.

Shapes (read 2026-11): OpenAI and all who follow it, Anthropic, Google's ``google.rpc.Status``, FastAPI's ``detail``,
RFC 9457 problem documents, OAuth (RFC 6749 section 5.2), AWS (``__type``), Volcengine and Alibaba
(``ResponseMetadata``, flat ``code``/``message``), Baidu (``error_code``/``error_msg``), MiniMax (``base_resp``),
Cloudflare (``errors[]``), Apigee (``fault``), Batch objects (``errors.data[]``), XML of object stores, server-sent
events, JSON inside a string.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import orjson

from gateway.model.provider import Declared, Provider

_DEPTH = 6
_WIDTH = 24
_EVENTS = 200
_MESSAGE = (
    "message", "status_details", "msg", "detail", "error_msg", "error_message", "errorMessage", "status_msg",
    "error_description", "Message", "faultstring", "description", "title", "reason", "err", "errors", "Error",
)  # fmt: skip
_CODE = (
    "code", "error_code", "errorCode", "errorcode", "status_code", "statusCode", "Code", "__type", "error_number",
    "blockReason", "finish_reason", "finishReason", "stop_reason", "biz_code",
)  # fmt: skip
_TYPE = ("type", "error_type", "errorType", "status", "Type")
_INNER = (
    "error",
    "errors",
    "training_files",
    "response",
    "detail",
    "fault",
    "base_resp",
    "ResponseMetadata",
    "Error",
    "data",
    "promptFeedback",
    "last_error",
)
_ANSWER = frozenset({"choices", "candidates", "content", "output_text"})
_XML = re.compile(r"<(Code|Message)>([^<]{1,2000})</")
_FIELD = re.compile(r'"(code|type|status|reason|message)"\s{0,8}:\s{0,8}"([^"\\]{1,2000})')
_BRACE = re.compile(r"[{\[]")


class Read(NamedTuple):
    """What was read.

    Attributes:
        declared: The words that matter.
        codes: Every code, type, reason and name found anywhere in the envelope, lower-case.
        numbers: Numbers of the envelope that speak of time or amount, by name.
        quoted: The envelope quotes another one, whose words these are.
        own: It is the envelope that this provider documents.
        ill: An answer that ended for a filter or a failure.
        job: It is an object that stands for work that failed: a batch, a file, a fine-tuning job.
    """

    declared: Declared
    codes: frozenset[str]
    numbers: Mapping[str, float]
    job: bool = False
    ill: bool = False
    quoted: bool = False
    own: bool = False


_ILL = re.compile(
    rb'"(?:error(?:": ?(?:\{|"[^"])|_code": ?[1-9]|s": ?\[ ?\{)'
    rb'|s(?:tatus_code": ?[1-9]|uccess": ?false|ensitive"|top_reason": ?"refusal")|blockReason"|refusal": ?")'
)
_ILL_WORDS = (b"content_filter", b"SAFETY", b"PROHIBITED", b"RECITATION", b'_CALL"')
"""What hardly any good answer holds; looked for before anything is parsed. Every answer is looked through: an
expression that begins with one character takes a quarter of the time of one that may begin with several."""


def fails_inside(body: bytes, provider: Provider | None) -> bool:
    """Whether a body with a status of success says that it is none: an error in its place, or a filter's end."""
    if not _ILL.search(body) and not any(word in body for word in _ILL_WORDS):
        return False
    found = read(body.decode("utf-8", "replace"), provider)
    return found is not None and not found.job and (found.ill or bool(found.declared.message))


NOTHING = Read(Declared("", "", "", ""), frozenset(), {})


def read(text: str, provider: Provider | None) -> Read | None:
    """Read the start of an error body; None when it is no envelope of anybody's. Total on any text."""
    body = text.strip().lstrip("\ufeff")
    if not body:
        return None
    documents = list(_documents(body))
    own = provider.read_error(body.encode("utf-8", "replace")) if provider is not None else None
    best: Read | None = None
    for document in documents:
        found = _read_document(document)
        if found is None:
            continue
        if provider is not None and isinstance(document, dict | list):
            own = own or provider.read_error(orjson.dumps(document))
        best = found if best is None or (found.declared.message and not best.declared.message) else best
        if best.declared.message:
            break
    if best is None:
        return _xml(body) or (None if documents else _torn(body))
    best = best._replace(own=own is not None)
    if own is not None and not best.quoted:
        merged = Declared(*(ours or theirs for ours, theirs in zip(own, best.declared, strict=True)))
        if len(best.declared.message) > len(own.message):
            merged = merged._replace(message=best.declared.message)
        return best._replace(declared=merged, codes=best.codes | _lower(own.code, own.type))
    return best


def _documents(body: str) -> Iterator[object]:
    """Give what is JSON in a body: all of it, the data of its events, what is packed in a string or follows words."""
    whole = _json(body)
    if whole is not None:
        if isinstance(whole, str) and (inner := _json(whole)) is not None:
            yield inner
        yield whole
        return
    if "data:" in body[:4096]:
        for line in body.splitlines()[:_EVENTS]:
            if line.startswith("data:") and (event := _json(line[5:].strip())) is not None:
                yield event
        return
    if body.startswith("<"):
        return
    start = _BRACE.search(body[:400])
    if start is not None:
        end = max(body.rfind("}"), body.rfind("]"))
        part = _json(body[start.start() : end + 1]) if end > start.start() else None
        if part is not None:
            yield part


def _json(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _read_document(document: object) -> Read | None:
    if isinstance(document, str):
        return Read(Declared("", "", document, ""), frozenset(), {}) if " " in document else None
    levels = list(_levels(document))
    if not levels:
        return None
    error = next((level for level in levels if _text(level)), None)
    root = levels[0]
    if error is None and not any(_says_why(level) for level in levels):
        return None
    if _ANSWER & root.keys() and not _failed(levels):
        return None
    codes = frozenset(code for level in levels for code in _codes(level))
    main = error if error is not None else root
    message = _text(main)
    packed = _packed(message)
    inner = _read_document(packed) if packed is not None else None
    behind = _behind(levels) if inner is None else None
    if behind is not None:
        message, codes = f"{message}: {behind.declared.message}", codes | behind.codes
    if inner is not None:
        message, codes = inner.declared.message, inner.codes  # what is packed inside is the first to have spoken
    code = _first(main, _CODE) if inner is None else inner.declared.code
    kind = _first(main, _TYPE) if inner is None else inner.declared.type
    declared = Declared(code, kind, message, _first(main, ("param", "loc", "field")))
    numbers = {name: value for level in levels for name, value in _numbers(level)}
    return Read(
        declared,
        codes,
        numbers,
        ill=any(_end(level) in _BAD_ENDS or bool(level.get("blockReason")) for level in levels),
        job=any(map(_has_failed, levels)),
        quoted=inner is not None,
    )


def _says_why(level: dict[str, object]) -> bool:
    """Whether an object without a message names an error all the same; a `type` or `object` alone is any answer's."""
    named = any(level.get(name) not in {None, "", 0, "0", "OK"} for name in _ERRORS if _is_word(level.get(name)))
    return named or bool(level.get("error")) or _end(level) in _BAD_ENDS or _has_failed(level)


_ERRORS = ("code", "error_code", "errorCode", "errorcode", "status_code", "Code", "__type", "blockReason", "reason")


def _is_word(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _behind(levels: list[dict[str, object]]) -> Read | None:
    """Read what stands as text inside a field of the envelope: the answer of whoever the service itself had asked."""
    for level in levels:
        for name in ("raw", "details", "body", "upstream_error"):
            value = level.get(name)
            if isinstance(value, str) and value.strip():
                document = _json(value) if value.lstrip()[:1] in {"{", "["} else None
                found = _read_document(document) if document is not None else None
                return found or NOTHING._replace(declared=Declared("", "", value[:2000], ""))
    return None


def _has_failed(level: dict[str, object]) -> bool:
    return "object" in level and str(level.get("status", "")).lower() in {"failed", "error"}


def _packed(message: str) -> object:
    """Give the JSON that stands at the end of a message: relays quote whom they asked."""
    start = message.find("{")
    end = message.rfind("}")
    packed = _json(message[start : end + 1]) if 0 <= start < end else None
    return packed if isinstance(packed, dict) else None


def _failed(levels: list[dict[str, object]]) -> bool:
    """Whether an answer that looks whole says that it failed: an error beside it, or a finish reason of its kind."""
    return any(level.get("error") or _end(level) in _BAD_ENDS for level in levels)


def _end(level: dict[str, object]) -> str:
    return str(level.get("finish_reason") or level.get("finishReason") or level.get("stop_reason") or "").lower()


_BAD_ENDS = frozenset(
    {
        "content_filter",
        "error",
        "safety",
        "prohibited_content",
        "blocklist",
        "spii",
        "recitation",
        "sensitive",
        "malformed_function_call",
        "image_safety",
        "refusal",
        "content_filtered",
        "image_prohibited_content",
        "guardrail_intervened",
        "network_error",
        "repetition_truncation",
    }
)


def _levels(document: object, depth: int = 0) -> Iterator[dict[str, object]]:
    """Give the objects of a document that can hold an error, the outermost first; bounded in depth and width."""
    if depth > _DEPTH:
        return
    if isinstance(document, list):
        for item in document[:_WIDTH]:
            yield from _levels(item, depth + 1)
    elif isinstance(document, dict):
        yield document
        for name in (
            *_INNER,
            "details",
            "innererror",
            "inner_error",
            "metadata",
            "choices",
            "candidates",
            "violations",
        ):
            if isinstance(value := document.get(name), dict | list):
                yield from _levels(value, depth + 1)


def _text(level: dict[str, object]) -> str:
    error = level.get("error")
    for name in _MESSAGE:
        value = level.get(name)
        if isinstance(value, str) and value.strip():
            same = isinstance(error, str) and name != "error_description" and error.lower() not in value.lower()
            return f"{error}: {value}" if same else value
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value[:_WIDTH]):
            return "; ".join(value[:_WIDTH])
    return error if isinstance(error, str) else ""


def _first(level: dict[str, object], names: tuple[str, ...]) -> str:
    for name in names:
        value = level.get(name)
        if isinstance(value, bool) or value in (None, ""):
            continue
        if isinstance(value, str | int):
            return str(value)[:300]
        if name == "loc" and isinstance(value, list):
            return ".".join(str(part) for part in value if part != "body")[:300]
    return ""


_NAMES = (*_CODE, *_TYPE, "reason", "error", "quotaId", "plan_type", "object")


def _codes(level: dict[str, object]) -> frozenset[str]:
    return _lower(*(value for name in _NAMES if isinstance(value := level.get(name), str | int)))


def _lower(*values: object) -> frozenset[str]:
    words = (str(value).rpartition("#")[2] for value in values if value not in (None, "", True, False))
    return frozenset(word.lower()[:200] for word in words)


def _numbers(level: dict[str, object]) -> Iterator[tuple[str, float]]:
    for name, value in list(level.items())[:_WIDTH]:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield str(name), float(value)


def _torn(body: str) -> Read | None:
    """Read an object whose end is missing: cut by a window, or by whoever copied it."""
    if not body.startswith(("{", "[{")) or '"error' not in body[:2048]:
        return None
    parts: dict[str, str] = {}
    for name, value in _FIELD.findall(body[:8192]):
        parts.setdefault(name, value)
    if not parts:
        return None
    declared = Declared(parts.get("code", ""), parts.get("type", parts.get("status", "")), parts.get("message", ""), "")
    return Read(declared, _lower(*(parts.get(name, "") for name in ("code", "type", "status", "reason"))), {})


def _xml(body: str) -> Read | None:
    if not body.startswith("<") or "<Code>" not in body[:4096]:
        return None
    parts = dict(_XML.findall(body[:8192]))
    declared = Declared(parts.get("Code", ""), "", parts.get("Message", ""), "")
    return Read(declared, _lower(declared.code), {})
