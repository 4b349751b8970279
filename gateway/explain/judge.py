"""From what was seen to the verdict: the same evidence and the same engine as on the path."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from gateway._discover import discover
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import CallShape, Certificate, Evidence
from gateway.explain.paste import read
from gateway.explain.seen import Seen
from gateway.identify.locate import Locator
from gateway.model.attempt import ReplyHead
from gateway.model.diagnosis import Diagnosis
from gateway.model.provider import Provider

_KIN = (
    ("openai", ("openai.com", "chatgpt.com", "githubcopilot.com")),
    ("anthropic", ("anthropic.com", "claude.ai", "claude.com")),
    ("gemini", ("googleapis.com",)),
    ("azure", ("azure.com", "azure.us", "azure.cn", "azure-api.net")),
    ("dashscope", ("aliyuncs.com",)),
    ("mistral", ("mistral.ai",)),
)
"""Other hosts of the same house: their errors are written in the same way."""


_SPOKEN = (
    ("azure", ("openai.azure.com", "azure openai", "aka.ms/oai", "azureopenai")),
    ("openrouter", ("openrouter.ai",)),
    ("groq", ("console.groq.com", "groq.", "api.groq.com")),
    ("mistral", ("mistralai", "api.mistral.ai", "console.mistral.ai")),
    ("deepseek", ("api.deepseek.com", "platform.deepseek.com")),
    ("moonshot", ("platform.moonshot", "api.moonshot")),
    ("anthropic", ("anthropic.", "console.anthropic.com", "platform.claude.com", "docs.claude.com")),
    ("gemini", ("google.genai", "generativelanguage", "ai.google.dev", "google.api_core")),
    ("openai", ("platform.openai.com", "help.openai.com", "openai.", "api.openai.com")),
)
"""Modules of SDKs, and pages that errors point to; the most special first, since many SDKs build on OpenAI's."""

_STATUS = re.compile(r"(?<![\d.:])([45]\d\d)(?![\d.:])")
"""A status in the words about an answer to CONNECT; no part of an address or a port."""


class Judge:
    """Knows the providers; built once."""

    def __init__(self) -> None:
        """Find the plug-ins."""
        self._providers = {one.name: one for one in discover("gateway.providers", "PROVIDER", Provider).values()}
        self._locator = Locator([one for one in self._providers.values() if one.hosts])

    def evidence(self, seen: Seen) -> Evidence:
        """Give what was seen as evidence. Total."""
        seen = _unfolded(seen)
        try:
            parts = urlsplit(seen.url)
            host, path = (parts.hostname or "").lower(), parts.path
        except ValueError:
            host, path = "", ""
        headers = list(seen.headers)
        if seen.location:
            headers.append(("location", seen.location))
        answered = seen.status or headers or seen.body
        head = ReplyHead(
            status=seen.status or 0,
            headers=tuple(
                (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers
            ),
        )
        index = dict(seen.request_headers)
        return Evidence(
            provider=self.provider(host, parts_port(seen.url)) if host else self._spoken_of(seen),
            host=host,
            model=seen.model,
            call=CallShape(
                method=seen.method,
                path=path,
                plain=seen.url.startswith("http://"),
                content_type=index.get("content-type", ""),
                notes=seen.notes,
                size_bytes=len(seen.request_body),
            ),
            head=head if answered else None,
            text=seen.body,
            stage=seen.stage,
            exception=seen.exception,
            certificate=Certificate(subject=seen.cert_subject, issuer=seen.cert_issuer),
            addresses=seen.dns_answers,
            stream_truncated=_is_cut(seen),
            attempts=1,
        )

    def _spoken_of(self, seen: Seen) -> Provider | None:
        """Give the provider whose SDK or pages the words name, where nobody says which host was asked."""
        text = f"{seen.body[:8000]} {seen.exception}".lower()
        name = next((name for name, marks in _SPOKEN if any(mark in text for mark in marks)), "")
        return self._providers.get(name) or next((one for one in self._providers.values() if one.name == name), None)

    def judge(self, seen: Seen) -> Diagnosis:
        """Give the verdict."""
        return diagnose(self.evidence(seen))

    def provider(self, host: str, port: int) -> Provider | None:
        """Say whose host it is; a host that is nobody's may be a relay that speaks as OpenAI does."""
        if not host:
            return None
        found = self._locator.provider_of(host, port)
        if found is not None:
            return found
        kin = next((name for name, ends in _KIN if any(host == end or host.endswith("." + end) for end in ends)), None)
        return self._providers.get(kin or "openai_compatible") or self._providers.get("openai-compatible")


def parts_port(url: str) -> int:
    """Give the port of an address, its scheme's own when it names none."""
    try:
        return urlsplit(url).port or (80 if url.startswith(("http://", "ws://")) else 443)
    except ValueError:
        return 443


def _unfolded(seen: Seen) -> Seen:
    """Take the answer out of a client's words where it stands only there: SDKs print it in their exceptions."""
    if seen.stage == "proxy" and seen.status is None and (found := _STATUS.search(seen.exception[:4000])) is not None:
        seen = replace(seen, status=int(found[1]))
    if seen.body or not seen.exception or seen.stage in {"dns", "tcp", "tls", "proxy"}:
        return seen
    inside = next((one for one in read(seen.exception) if _is_answer(one, seen)), None)
    if inside is None:
        return seen
    status, headers = seen.status or inside.status, seen.headers or inside.headers
    return replace(seen, body=inside.body, status=status, headers=headers, url=seen.url or inside.url)


def _is_answer(inside: Seen, seen: Seen) -> bool:
    """Whether what stands in the words is an answer, and no program's own line of log."""
    body = inside.body.lstrip()
    alike = body.startswith("<") or '"error":{' in body[:400].replace(" ", "")
    return bool(body) and (alike or bool(inside.status or seen.status))


_ENDS = (
    "[DONE]",
    '"finish_reason":"',
    '"finish_reason": "',
    "message_stop",
    "response.completed",
    "response.incomplete",
    "finishReason",
)


def _is_cut(seen: Seen) -> bool:
    """Whether a stream of events that had begun well shows no end of any protocol, and no error."""
    kind = next((value for name, value in seen.headers if name == "content-type"), "")
    if seen.status != 200 or not kind.startswith("text/event-stream") or "data:" not in seen.body:
        return False
    return '"error"' not in seen.body and not any(end in seen.body for end in _ENDS)
