"""Requests to a provider without a key, and how to read the answer: its own refusal is what is right."""

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from gateway.diagnose.author import Kind
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import CallShape, Evidence
from gateway.doctor.case import Case, Target
from gateway.doctor.finding import evidence_for
from gateway.doctor.wire import Answer, fetch
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.diagnosis import Diagnosis

_NO_KEY = frozenset({
    Cause.AUTH_MISSING_KEY, Cause.AUTH_INVALID_KEY, Cause.AUTH_MALFORMED_HEADER, Cause.AUTH_PERMISSION,
})  # fmt: skip
"""What a provider may say to a request without a key, each in its own way."""
_LISTS = ('"data"', '"models"', '"id"')
"""What stands in a list of models, for those that give it to everybody."""
_API = frozenset({Kind.PROVIDER.value, Kind.RELAY.value})


def url_of(target: Target, path: str = "") -> str:
    """Give the address of something at a target: plain HTTP only where that was asked for, or is in the settings."""
    upstream = urlsplit((target.provider.upstream if target.provider is not None else None) or "")
    named = f"[{target.host}]" if ":" in target.host else target.host
    theirs = upstream.scheme == "http" and (upstream.hostname, upstream.port or 80) == (target.host, target.port)
    if target.plain or theirs:
        return f"http://{named}:{target.port}{path or target.path}"
    return f"https://{named}{'' if target.port == 443 else f':{target.port}'}{path or target.path}"


async def ask(
    case: Case, target: Target, path: str = "", *, headers: Sequence[tuple[str, str]] = (), seconds: float = 3.0
) -> Answer:
    """Ask for something at a target, by the way of calls. What fails is part of the answer."""
    return await fetch(case, url_of(target, path), headers=headers, ca_file=target.ca_file, seconds=seconds)


def evidence_of(
    case: Case, target: Target, answer: Answer, *, incident: str = "", credential: str = "none"
) -> Evidence:
    """Give an answer as evidence about its host."""
    head = None if answer.status == 0 else ReplyHead(status=answer.status, headers=answer.headers)
    return replace(
        evidence_for(case, failure=answer.failure, head=head, text=answer.text, incident=incident),
        provider=target.provider,
        host=target.host,
        model=target.model,
        addresses=(answer.address,) if answer.address and answer.failure is not None else (),
        call=CallShape(method="GET", path=target.path, credential=credential),
        attempts=1,
    )


def verdict_on(case: Case, target: Target, answer: Answer) -> Diagnosis:
    """Say what an answer without a key would mean if it were a call's."""
    return diagnose(evidence_of(case, target, answer))


def is_of_api(verdict: Diagnosis, answer: Answer) -> bool:
    """Whether an API wrote it: the provider, a relay, or whoever answers in JSON without an error."""
    if answer.failure is not None or answer.status == 0:
        return False
    return verdict.author in _API or (answer.status == 200 and _is_json(answer.text))


def is_normal(verdict: Diagnosis, target: Target, answer: Answer) -> bool:
    """Whether this is what the host should say to somebody without a key."""
    if answer.failure is not None or answer.status == 0:
        return False
    if target.provider is None:
        # Nothing is known of such a host; only what stands on the way to it can be told apart.
        return not verdict.cause.startswith(("network.", "edge.", "region.", "service.", "rate_limit."))
    if answer.status == 200:
        return _is_json(answer.text) and any(name in answer.text for name in _LISTS)
    return verdict.cause in _NO_KEY and verdict.author in _API


def _is_json(text: str) -> bool:
    """Whether it is an object or a list, or the start of a long one."""
    start = text.lstrip()[:1]
    if start not in {"{", "["}:
        return False
    if len(text) > 32_768:
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
