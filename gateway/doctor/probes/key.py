"""The key: how it is written, what the provider says to it, and whether it may use a model. No tokens are spent.

It goes only to the target, over a connection whose certificate is valid, and only when the API itself answered without
it before.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from gateway.doctor.asking import key_variables
from gateway.doctor.case import Case, Target
from gateway.doctor.finding import clue, evidence_for, judged, named, note, ok, skipped, trouble
from gateway.doctor.key_form import CONTROLS, FOREIGN, PLACEHOLDER, QUOTES, SHORT, SPACES, bare, form_of, may_be_sent
from gateway.doctor.key_form import owner_of as key_owner
from gateway.doctor.measured import Handshakes, Keyed, Plain
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.replies import ask, evidence_of, is_normal, is_of_api, url_of, verdict_on
from gateway.doctor.wire import Answer
from gateway.egress.network import is_local
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.secret import scrub
from gateway.providers._pages import NAMES

_SECONDS = 3.5
_HEADERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "anthropic": (("x-api-key", "{key}"), ("anthropic-version", "2023-06-01")),
    "gemini": (("x-goog-api-key", "{key}"),),
    "azure": (("api-key", "{key}"),),
}
"""How a key is given where it is not ``Authorization: Bearer`` (the providers' API references, read 2026-11)."""
_ONE_MODEL = frozenset({"openai", "anthropic", "gemini", "groq", "mistral", "xai", "moonshot"})
"""Providers that answer for a single model below their list."""
_FORMS = {
    SPACES: "{variable} has white space around the key",
    QUOTES: "{variable} has quotes around the key",
    CONTROLS: "{variable} holds characters that no key has",
    PLACEHOLDER: "{variable} holds a placeholder, not a key",
    FOREIGN: "{variable} holds a key that is not {provider}'s[: it begins like one of {owner}]",
    SHORT: "{variable} holds {count} characters; a key is longer",
}


async def _measure(case: Case, done: Done) -> Keyed:
    target = case.target
    form = form_of(target)
    if not may_be_sent(form):
        return Keyed(form=form)
    if why := _must_not_be_sent(case, done):
        return Keyed(form=form, unsent=why)
    headers, key = _headers(target), bare(target.key)
    paths = [target.path]
    if target.model and target.name in _ONE_MODEL:
        paths.append(f"{target.path}/{quote(target.model.removeprefix('models/'), safe='/:')}")
    answers = await asyncio.gather(*(ask(case, target, one, headers=headers, seconds=_SECONDS) for one in paths))
    models, *rest = [_clean(one, key) for one in answers]
    organization = models.header("openai-organization") or models.header("anthropic-organization-id")
    return Keyed(
        form=form,
        models=models,
        model=rest[0] if rest else None,
        organization=hashlib.sha256(organization.encode()).hexdigest()[:8] if organization else "",
        limits=_limits(target, models),
        count=_count(models),
        listed=_is_listed(target, models),
    )


def _leave_out(case: Case) -> str | Clue:
    if case.target.provider is None:
        return "of no provider that whygate knows, so there is no key to check"
    if case.target.key:
        return ""
    return clue("no key here: {names} is not set", names=", ".join(key_variables(case.target.provider)))


def _must_not_be_sent(case: Case, done: Done) -> str:
    """Say why the key must not go out, empty when it may."""
    target, plain, shaken = case.target, done.get(Plain), done.get(Handshakes)
    if urlsplit(url_of(target)).scheme != "https" and not is_local(target.host):
        return "it would go over plain HTTP"
    if shaken is not None and shaken.each and not shaken.valid:
        return "the connection is not safe"
    if plain is None or plain.answer.failure is not None:
        return "nobody answered without it"
    if not is_of_api(verdict_on(case, target, plain.answer), plain.answer):
        return "it was not the provider that answered without it"
    return ""


def _headers(target: Target) -> list[tuple[str, str]]:
    given = _HEADERS.get(target.name, (("authorization", "Bearer {key}"),))
    headers = [(name, value.replace("{key}", bare(target.key))) for name, value in given]
    scopes = (("openai-organization", target.organization), ("openai-project", target.project))
    return headers + [(name, value) for name, value in scopes if value and value.isascii() and value.isprintable()]


def _clean(answer: Answer, key: str) -> Answer:
    """Give an answer in which the key stands nowhere."""
    raw = key.encode()
    headers = tuple((name, value.replace(raw, b"[redacted]")) for name, value in answer.headers)
    failure = answer.failure
    if failure is not None:
        failure = replace(failure, detail=scrub(failure.detail, (key,)))
    return replace(answer, headers=headers, text=answer.text.replace(key, "[redacted]"), failure=failure)


def _limits(target: Target, answer: Answer) -> tuple[str, ...]:
    if target.provider is None:
        return ()
    stated = target.provider.read_limits(answer.headers)
    return tuple(f"{one.limit} {one.kind.replace('_', ' ')}" for one in stated if one.limit)[:6]


def _models(answer: Answer) -> list[str] | None:
    """Give the models that a list names, None when it is none or was cut off."""
    try:
        document = json.loads(answer.text)
    except ValueError:
        return None
    listed = document.get("data", document.get("models")) if isinstance(document, dict) else document
    if not isinstance(listed, list):
        return None
    return [
        str(one.get("id") or one.get("name") or "").removeprefix("models/") for one in listed if isinstance(one, dict)
    ]


def _count(answer: Answer) -> int | None:
    found = _models(answer) if answer.status == 200 else None
    return None if found is None else len(found)


def _is_listed(target: Target, answer: Answer) -> bool | None:
    found = _models(answer) if answer.status == 200 and target.model else None
    return None if found is None else target.model.removeprefix("models/") in found


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Keyed)
    if seen is None:
        return
    if seen.form:
        yield _malformed(case, seen)
        return
    if seen.models is None:
        yield skipped("the key was not sent: {detail}", detail=seen.unsent or "it was not safe")
        return
    if seen.models.failure is not None:
        yield _unanswered(case, seen.models)
    elif seen.models.status == 200:
        count = "" if seen.count is None else str(seen.count)
        told = "the key in {variable} is accepted[, and may see {count} models]"
        yield ok(told, variable=case.target.key_variable, count=count)
        yield from _of_model(case, seen)
    elif _is_everybodys(case, done):
        yield skipped("the provider refuses it as it does without a key")
    else:
        yield _refused(case, seen.models)


def _is_everybodys(case: Case, done: Done) -> bool:
    """Whether the provider's answer without a key was no normal one: then its refusal says nothing of the key."""
    plain = done.get(Plain)
    if plain is None:
        return False
    return not is_normal(verdict_on(case, case.target, plain.answer), case.target, plain.answer)


def _malformed(case: Case, seen: Keyed) -> Check:
    target = case.target
    owner = key_owner(bare(target.key)) if seen.form == FOREIGN else ""
    facts: dict[str, str] = {
        "variable": target.key_variable,
        "provider": NAMES.get(target.name, target.name),
        "owner": NAMES.get(owner, owner),
        "count": str(len(bare(target.key))),
    }
    clues = [clue(_FORMS[seen.form], **facts)]
    if seen.models is not None and seen.models.status == 200:
        clues.append(clue("without them the provider accepts it"))
    elif seen.models is None:
        clues.append(clue("it was not sent anywhere"))
    verdict = named(Cause.AUTH_INVALID_KEY, evidence_for(case), clues=clues, language=case.language)
    return trouble(Status.FAIL, verdict, _FORMS[seen.form], **facts)


def _unanswered(case: Case, answer: Answer) -> Check:
    failure = answer.failure
    assert failure is not None
    verdict = judged(
        evidence_of(case, case.target, answer, credential="bearer"),
        clues=(clue("without a key the same host had answered"),),
        confirmed=False,
        language=case.language,
    )
    return trouble(Status.WARN, verdict, "no answer to the key: {detail}", detail=failure.detail)


def _refused(case: Case, answer: Answer) -> Check:
    verdict = _verdict(case, answer)
    said = dict(verdict.facts).get("detail", "")
    # An API may refuse a list of models to a key that is good for calls.
    restricted = verdict.cause is Cause.AUTH_PERMISSION and answer.status == 403
    waits = verdict.cause.startswith(("rate_limit.", "service.")) or verdict.cause is Cause.UNKNOWN
    return trouble(
        Status.WARN if waits or restricted else Status.FAIL,
        verdict,
        "the provider refuses the key in {variable} with status {code}[: {detail}]",
        variable=case.target.key_variable,
        code=answer.status,
        detail=said,
    )


def _verdict(case: Case, answer: Answer) -> Diagnosis:
    target = case.target
    evidence = evidence_of(case, target, answer, credential="bearer")
    if target.organization or target.project:
        evidence = replace(evidence, call=replace(evidence.call, organization=True))
    return judged(evidence, clues=_sent(target), confirmed=False, language=case.language)


def _sent(target: Target) -> Iterator[Clue]:
    yield clue("the key from {variable} was sent to {host}", variable=target.key_variable, host=target.host)
    if target.organization:
        yield clue("{variable} names the organisation", variable="OPENAI_ORG_ID")
    if target.project:
        yield clue("{variable} names the project", variable="OPENAI_PROJECT_ID")


def _of_model(case: Case, seen: Keyed) -> Iterator[Check]:
    model = case.target.model
    may, may_not = "the key may use {model}", "the key may not use {model}"
    if not model:
        return
    if seen.model is not None and seen.model.failure is None:
        if seen.model.status == 200:
            yield ok(may, about=model, model=model)
        else:
            yield trouble(Status.FAIL, _verdict(case, seen.model), may_not, about=model, model=model)
    elif seen.listed:
        yield ok(may, about=model, model=model)
    elif seen.listed is False:
        clues = (clue("the list of models that the key may see does not hold {model}", model=model),)
        evidence = replace(evidence_for(case), model=model)
        verdict = named(Cause.REQUEST_MODEL_NOT_FOUND, evidence, clues=clues, language=case.language)
        yield trouble(Status.FAIL, verdict, may_not, about=model, model=model)
    else:
        yield note("whether the key may use {model} could not be seen", about=model, model=model)


PROBE = Probe(
    name="key",
    group=Group.ACCOUNT,
    rank=80,
    gives=Keyed,
    measure=_measure,
    judge=_judge,
    after=(Handshakes, Plain),
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    leave_out=_leave_out,
)
