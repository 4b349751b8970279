"""The key: its form, what the provider says to it, and where it must never go."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.asking import target_of
from gateway.doctor.case import Target
from gateway.doctor.key_form import form_of, may_be_sent
from gateway.doctor.measured import Handshakes, Keyed, Plain, Shaken
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.key import PROBE
from gateway.doctor.report import plain, said
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.gemini import PROVIDER as GEMINI
from tests.gateway.doctor.probes.far import EDGE, HTML, KEY, RIGHT, a_case, answered, far, openai, problem, unanswered

GEMINI_KEY = "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"
ANTHROPIC_KEY = "sk-ant-api03-abcdefghijklmnop"
LIST = answered(200, '{"data":[{"id":"gpt-5"},{"id":"gpt-5-mini"}]}')


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (KEY, ""),
        ("sk-abcdefghijklmnopqrst1234", ""),
        (f" {KEY}", "spaces"),
        (f"{KEY}\n", "spaces"),
        (f'"{KEY}"', "quotes"),
        (f"'{KEY}' ", "quotes"),
        ("sk-abc def1234567890", "letters"),
        ("sk-abc\ndef1234567890", "letters"),
        ("sk-åäö1234567890abc", "letters"),
        ("your-api-key-here", "placeholder"),
        ("sk-xxxxxxxxxxxxxxxxxxxx", "placeholder"),
        ("sk-...", "placeholder"),
        ("${OPENAI_API_KEY}", "placeholder"),
        ("<your key>", "letters"),
        ("changeme", "placeholder"),
        ("abc", "short"),
        (ANTHROPIC_KEY, "foreign"),
        (GEMINI_KEY, "foreign"),
        ("gsk_abcdefghijklmnop", "foreign"),
    ],
)
def test_the_form_of_a_key(key: str, form: str) -> None:
    assert form_of(openai(key=key)) == form


def test_a_relay_has_keys_of_its_own() -> None:
    target = openai(key="sk-ant-api03-abcdefghijklmnop")
    assert target.provider is not None
    assert form_of(replace(target, provider=replace(target.provider, upstream="https://relay.example.com/v1"))) == ""
    assert form_of(replace(target, host="relay.example.com")) == ""


def test_an_anthropic_key_begins_as_such() -> None:
    target = replace(target_of(ANTHROPIC, {}), key="sk-proj-abcdefghijklmnop")
    assert form_of(target) == "foreign"
    assert form_of(replace(target, key="abcdefghijklmnopqrstuvw")) == "foreign"
    assert form_of(replace(target, key=ANTHROPIC_KEY)) == ""


@pytest.mark.parametrize("form", ["letters", "placeholder", "foreign", "short"])
def test_what_is_no_key_of_the_provider_is_not_sent_there(form: str) -> None:
    assert not may_be_sent(form)


def judged(seen: Keyed, target: Target | None = None) -> list[Check]:
    return list(PROBE.judge(a_case(target or openai(key=KEY)), Done(seen, Plain(answer=RIGHT))))


def test_a_key_that_lists_models_is_good() -> None:
    (check,) = judged(Keyed(models=LIST, count=2))
    assert check.status is Status.OK
    assert "2" in said(check.told, "en")


@pytest.mark.parametrize(
    ("answer", "cause", "status"),
    [
        (answered(401, problem("Incorrect API key provided: sk-proj-****JKL.", "invalid_api_key")), Cause.AUTH_INVALID_KEY, Status.FAIL),
        (answered(401, problem("Your token has expired.", "token_expired")), Cause.AUTH_EXPIRED_KEY, Status.FAIL),
        (answered(401, problem("OpenAI-Organization header should match organization for API key", "mismatched_organization")), Cause.AUTH_WRONG_ORGANIZATION, Status.FAIL),
        (answered(401, problem("You must be a member of an organization to use the API.", "no_organization")), Cause.AUTH_NOT_A_MEMBER, Status.FAIL),
        (answered(403, problem("You have insufficient permissions for this operation. Missing scopes: api.model.read.", "missing_scope")), Cause.AUTH_PERMISSION, Status.WARN),
        (answered(401, problem("Your IP is not authorized.", "ip_not_authorized")), Cause.AUTH_IP_NOT_ALLOWED, Status.FAIL),
        (answered(429, problem("Your account is not active, please check your billing details on our website.", "billing_not_active")), Cause.ACCOUNT_BILLING_INACTIVE, Status.FAIL),
        (answered(401, problem("The OpenAI account associated with this API key has been deactivated.", "account_deactivated")), Cause.ACCOUNT_DEACTIVATED, Status.FAIL),
        (answered(403, problem("Country, region, or territory not supported", "unsupported_country_region_territory")), Cause.REGION_UNSUPPORTED, Status.FAIL),
        (answered(429, problem("You exceeded your current quota", "insufficient_quota", "insufficient_quota")), Cause.QUOTA_EXHAUSTED, Status.FAIL),
        (answered(429, problem("Rate limit reached for requests", "rate_limit_exceeded", "requests")), Cause.RATE_LIMIT_REQUESTS, Status.WARN),
    ],
    ids=lambda value: value.value if isinstance(value, Cause) else "",
)  # fmt: skip
def test_what_the_provider_says_to_the_key(answer: Answer, cause: Cause, status: Status) -> None:
    (check,) = judged(Keyed(models=answer))
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.status) == (cause, status)
    assert "the key from OPENAI_API_KEY was sent to api.openai.com" in check.diagnosis.evidence


def test_a_refusal_of_everybody_is_not_about_the_key() -> None:
    region = answered(
        403, problem("Country, region, or territory not supported", "unsupported_country_region_territory")
    )
    (check,) = PROBE.judge(a_case(openai(key=KEY)), Done(Keyed(models=region), Plain(answer=region)))
    assert check.status is Status.SKIPPED


def test_a_key_that_is_silent_only_with_the_key_is_worth_a_warning() -> None:
    (check,) = judged(Keyed(models=unanswered(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE)))
    assert check.status is Status.WARN


def test_a_model_by_its_own_answer_or_by_the_list() -> None:
    target = openai(key=KEY, model="gpt-9")
    missing = answered(
        404, problem("The model 'gpt-9' does not exist or you do not have access to it.", "model_not_found")
    )
    _, check = judged(Keyed(models=LIST, count=2, model=missing, listed=False), target)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.REQUEST_MODEL_NOT_FOUND
    _, check = judged(Keyed(models=LIST, count=2, listed=False), target)
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.REQUEST_MODEL_NOT_FOUND
    assert judged(Keyed(models=LIST, count=2, listed=True), target)[1].status is Status.OK
    assert judged(Keyed(models=LIST, count=2, model=answered(200, "{}")), target)[1].status is Status.OK
    assert judged(Keyed(models=LIST), target)[1].status is Status.NOTE


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"{KEY}\n", "white space"),
        (f'"{KEY}"', "quotes"),
        ("your-api-key", "placeholder"),
        (ANTHROPIC_KEY, "Anthropic"),
        ("abc", "3 characters"),
    ],
)
def test_a_malformed_key_is_named_and_not_shown(key: str, words: str) -> None:
    target = openai(key=key)
    (check,) = judged(Keyed(form=form_of(target)), target)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.AUTH_INVALID_KEY
    assert words in said(check.told, "en")
    assert key.strip() not in repr(check)


def test_without_a_key_the_report_says_where_it_would_be() -> None:
    assert "OPENAI_API_KEY" in said(PROBE.leave_out(a_case()), "en")
    assert "whygate knows" in said(PROBE.leave_out(a_case(Target(host="x.example.com"))), "en")
    assert not PROBE.leave_out(a_case(openai(key=KEY)))


async def measured(folder: Path, target: Target, done: Done, **answers: Any) -> tuple[Keyed, list[str]]:
    async with far(folder, target.host) as there:
        for status, body in answers.values():
            there.on(f"{target.host}{target.path}", status, body)
            there.on(f"{target.host}{target.path}/{target.model}", status, body)
        case = a_case(target, lists=there.lists(target.host), ca_file=there.ca_file)
        seen = await PROBE.measure(case, done)
        assert isinstance(seen, Keyed)
        return seen, there.heads


GOOD = Done(Plain(answer=RIGHT))


async def test_the_key_goes_in_the_header_of_its_provider(tmp_path: Path) -> None:
    models = {"data": [{"id": "gpt-5"}]}
    target = openai(key=KEY, organization="org-abc", project="proj_abc", model="gpt-5")
    seen, heads = await measured(tmp_path, target, GOOD, all=(200, models))
    assert (seen.count, seen.listed) == (1, True)
    assert len(heads) == 2
    assert all(f"authorization: Bearer {KEY}\r\n" in head for head in heads)
    assert "openai-organization: org-abc\r\n" in heads[0]
    gemini = replace(target_of(GEMINI, {}), key=GEMINI_KEY)
    _, heads = await measured(tmp_path, gemini, Done(Plain(answer=answered(403, '{"error":{"code":403,"message":"Method doesn\'t allow unregistered callers","status":"PERMISSION_DENIED"}}'))), all=(200, {"models": []}))  # fmt: skip
    assert f"x-goog-api-key: {GEMINI_KEY}\r\n" in heads[0]
    assert "?key" not in heads[0]
    anthropic = replace(target_of(ANTHROPIC, {}), key=ANTHROPIC_KEY)
    seen, heads = await measured(tmp_path, anthropic, GOOD, all=(200, {"data": []}))
    assert f"x-api-key: {ANTHROPIC_KEY}\r\n" in heads[0]
    assert "anthropic-version: 2023-06-01\r\n" in heads[0]


@pytest.mark.parametrize(
    ("done", "why"),
    [
        (Done(), "nobody answered"),
        (Done(Plain(answer=unanswered(NetCode.CONNECT_TIMEOUT, Phase.CONNECT))), "nobody answered"),
        (Done(Plain(answer=answered(403, "error code: 1020", HTML, *EDGE))), "not the provider"),
        (Done(Plain(answer=answered(200, "<title>Login</title>", HTML))), "not the provider"),
        (
            Done(
                Plain(answer=RIGHT),
                Handshakes(each=(Shaken(address="1.2.3.4", name="x", failure=NetFailure(phase=Phase.TLS, code=NetCode.TLS_CERTIFICATE, detail="", sent=False)),)),
            ),
            "not safe",
        ),
    ],
)  # fmt: skip
async def test_the_key_stays_here_when_it_is_not_surely_the_provider_out_there(
    tmp_path: Path, done: Done, why: str
) -> None:
    seen, heads = await measured(tmp_path, openai(key=KEY), done, all=(200, {}))
    assert heads == []
    assert why in seen.unsent
    (check,) = PROBE.judge(a_case(openai(key=KEY)), Done(seen))
    assert check.status is Status.SKIPPED


@pytest.mark.parametrize("key", [ANTHROPIC_KEY, "your-api-key", "sk-abc\r\nx: y1234567890"])
async def test_another_providers_key_is_not_sent(tmp_path: Path, key: str) -> None:
    _, heads = await measured(tmp_path, openai(key=key), GOOD, all=(200, {}))
    assert heads == []


async def test_the_key_does_not_go_over_plain_http(tmp_path: Path) -> None:
    target = openai(key=KEY, port=80)
    assert target.provider is not None
    target = replace(
        target, host="relay.example.com", provider=replace(target.provider, upstream="http://relay.example.com")
    )
    seen, heads = await measured(tmp_path, target, GOOD, all=(200, {}))
    assert heads == []
    assert "plain HTTP" in seen.unsent


async def test_an_untrusted_certificate_keeps_the_key_here(tmp_path: Path) -> None:
    async with far(tmp_path, "api.openai.com") as there:
        seen = await PROBE.measure(a_case(openai(key=KEY), lists=there.lists("api.openai.com")), GOOD)
        assert isinstance(seen, Keyed)
        assert there.heads == []
        assert seen.models is not None
        assert seen.models.failure is not None


async def test_quotes_and_spaces_are_tried_without(tmp_path: Path) -> None:
    target = openai(key=f'"{KEY}"\n')
    seen, heads = await measured(tmp_path, target, GOOD, all=(200, {"data": []}))
    assert f"authorization: Bearer {KEY}\r\n" in heads[0]
    (check,) = PROBE.judge(a_case(target), Done(seen))
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert "without them the provider accepts it" in check.diagnosis.evidence


async def test_an_answer_that_repeats_the_key_does_not_bring_it_into_the_report(tmp_path: Path) -> None:
    odd = "K3y" + "0123456789abcdefghijk"
    seen, _ = await measured(
        tmp_path, openai(key=odd), GOOD, all=(401, problem(f"Incorrect API key provided: {odd}", "invalid_api_key"))
    )
    checks = list(PROBE.judge(a_case(openai(key=odd)), Done(seen)))
    assert checks[0].status is Status.FAIL
    assert odd not in repr(seen)
    assert odd not in repr(checks)
    assert odd not in repr(plain(seen))
