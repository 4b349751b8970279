"""Tokens and keys are read once, at the start; every mistake is told, and no secret is."""

from pathlib import Path
from typing import Any

import pytest

from gateway.limit.gate import LimitRule
from gateway.model.tenant import Budget
from gateway.settings import ConfigError, Settings
from gateway.tenants import Team, team_of

TOKEN = "canary-0123456789abcdef"
ENV = {
    "ALPHA": TOKEN + "\n",
    "BETA": TOKEN[::-1],
    "KEY": "sk-canary",
    "EMPTY": " ",
    "SHORT": "x" * 15,
    "BAD": "x" * 20 + "/",
}


def team(*tenants: dict[str, Any], **more: Any) -> Team:
    settings = Settings.model_validate({"team": {"tenants": list(tenants)}, **more})
    return team_of(settings, ENV, "whygate.toml")


def problems(*tenants: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        team(*tenants, **more)
    told = str(error.value)
    for secret in (TOKEN, *(text.strip() for text in ENV.values() if len(text.strip()) > 3)):
        assert secret not in told
    return told.splitlines()


def test_tokens_come_from_variables_and_files_without_the_white_space_at_their_ends(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN[::-1]} \n\n")
    found = team({"name": "alpha", "token_env": "ALPHA"}, {"name": "beta", "token_file": str(file)})
    assert found.tokens == {"alpha": TOKEN, "beta": TOKEN[::-1]}
    assert found.readers == {"alpha": (TOKEN, False), "beta": (TOKEN[::-1], False)}
    assert TOKEN not in repr(found)


def test_the_listeners_own_token_is_that_of_the_tenant_default() -> None:
    found = team({"name": "alpha", "token_env": "ALPHA"}, listen={"token": "of-the-listener-itself"})
    assert found.tokens == {"default": "of-the-listener-itself", "alpha": TOKEN}
    assert team(listen={"token": "of-the-listener-itself"}).tokens == {"default": "of-the-listener-itself"}
    assert team().tokens == {}


def test_all_that_is_set_arrives() -> None:
    given = {
        "name": "alpha", "token_env": "ALPHA", "admin": True, "providers": ["openai"], "models": ["gpt-*"], "share": 2.0,
        "budget": {"requests_per_day": 1, "tokens_per_day": 2, "dollars_per_day": 3.5},
        "key_from": {"openai": "env:KEY"}, "rules": [{"provider": "openai", "rpm": 3}],
    }  # fmt: skip
    found = team(given)
    tenant = found.tenants[0]
    assert (tenant.admin, tenant.providers, tenant.models, tenant.share) == (True, ("openai",), ("gpt-*",), 2.0)
    assert tenant.budget == Budget(requests=1, tokens=2, dollars=3.5)
    assert tenant.keys == {"openai": b"sk-canary"}
    assert found.rules == {"alpha": (LimitRule(provider="openai", per_minute=3),)}
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        (
            {"token_env": "NONE"},
            "team.tenants[0].token_env: expected an environment variable that holds it (NONE is not",
        ),
        ({"token_env": "EMPTY"}, "(EMPTY is empty)"),
        ({"token_env": "SHORT"}, "this one has 15 characters"),
        ({"token_env": "BAD"}, "16 to 256 letters, digits, and - . _ ~"),
        ({"token_env": "canary_in_the_wrong_place"}, "(the one that is named is not set)"),
        ({"token_file": "/nowhere/at/all"}, "a file that can be read (/nowhere/at/all: No such file or directory)"),
        ({"token_file": "/dev/null"}, "/dev/null is empty"),
        ({"token_env": "ALPHA", "key_from": {"opnai": "env:KEY"}}, "Did you mean openai?"),
        (
            {"token_env": "ALPHA", "key_from": {"openai": "env:NONE"}},
            "key_from.openai: expected an environment variable",
        ),
        ({"token_env": "ALPHA", "rules": [{"provider": "x", "rpm": 1}]}, "rules[0].provider = 'x': expected a known"),
    ],
)
def test_a_mistake_is_told_with_its_place(tenant: dict[str, Any], told: str) -> None:
    found = problems({"name": "alpha", **tenant})
    assert len(found) == 1
    assert found[0].startswith("whygate.toml: team.tenants[0].")
    assert told in found[0]


def test_a_token_is_one_tenants_alone() -> None:
    two = [{"name": "alpha", "token_env": "ALPHA"}, {"name": "beta", "token_env": "ALPHA"}]
    assert (
        "tenants[1].token_env: expected a token of its own (it is that of the tenant alpha, too)" in problems(*two)[0]
    )
    for place in ("listen", "page"):
        found = problems({"name": "alpha", "token_env": "ALPHA"}, **{place: {"token": TOKEN}})
        assert f"it is that of [{place}] token, too" in found[0]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("provider,model,input_usd,output_usd,source,read\nopenai,x,-1,2,s,2026-11-22\n")
    entries = [{"name": name, "token_env": name.upper()} for name in ("gamma", "delta")]
    found = problems(team={"tenants": entries, "prices_file": str(prices)})
    assert len(found) == 3
    assert "team.prices_file" in found[2]
    assert "line 2: expected US dollars per million tokens, 0 or more" in found[2]


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        ({"name": "default", "token_env": "A"}, "whoever presents"),
        ({"name": "Big", "token_env": "A"}, "pattern"),
        ({"name": "a"}, "exactly one of token_env, token_file"),
        ({"name": "a", "token_env": "A", "token_file": "/b"}, "exactly one of token_env, token_file"),
        ({"name": "a", "token_env": "A", "providers": []}, "at least one glob"),
        ({"name": "a", "token_env": "A", "share": 0}, "greater than 0"),
        ({"name": "a", "token_env": "A", "key_from": {"openai": "sk-canary"}}, "never a key itself"),
        ({"name": "a", "token_env": "A", "budget": {"requests_per_day": -1}}, "greater than or equal to 0"),
    ],
)
def test_what_makes_no_sense_is_refused(tenant: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        team(tenant)


def test_a_listener_for_others_needs_a_token_or_tenants() -> None:
    open_to_all = {"listen": {"address": "0.0.0.0:8080"}}
    with pytest.raises(ValueError, match=r"a token beside it.*\[\[team.tenants\]\] have one each"):
        team(**open_to_all)
    assert team({"name": "alpha", "token_env": "ALPHA"}, **open_to_all).tokens
