"""What one gateway of a team finds out, the others need not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.egress.breaker import FAILURES_MIN
from tests.e2e.teamwork import PATH, Teamwork, team_key, teamwork
from tests.running import GatewayProcess

NO_RULE = '[[limits.rules]]\nprovider = "anthropic"\nconcurrency = 100\n'
OVERLOADED = {"x-simulate": "service.overloaded", "x-stainless-retry-count": "0"}


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Teamwork]:
    # Nothing is tried again, so each call is one attempt.
    with teamwork(tmp_path, extra=f"{NO_RULE}[retry]\nmax_attempts = 1\n") as made:
        yield made


def ask(gateway: GatewayProcess, number: int, **headers: str) -> httpx2.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{number}"}]}
    said = {"authorization": f"Bearer {team_key('a')}", "x-whygate-cache": "no-cache"} | headers
    return httpx2.post(gateway.proxy + PATH, json=body, headers=said, trust_env=False, timeout=20)


def known_limits(team: Teamwork, gateway: GatewayProcess) -> set[tuple[str, float]]:
    url = f"http://{gateway.runtime['page']}/api/limits"
    token = {"authorization": f"Bearer {gateway.runtime['token']}"}
    told: dict[str, Any] = httpx2.get(url, headers=token, trust_env=False, timeout=20).raise_for_status().json()
    lines = [line for scope in told["scopes"] for line in scope["limits"]]
    return {(line["kind"], line["limit"]) for line in lines if line["source"] == "headers"}


def test_a_host_that_answers_nobody_is_asked_by_one_gateway_and_by_the_others_hardly_at_all(team: Teamwork) -> None:
    first, *others = team.gateways
    for number in range(FAILURES_MIN):
        assert ask(first, number, **OVERLOADED).status_code == 503
    asked = len(team.provider.simulator.ledger.rows)

    def is_held(gateway: GatewayProcess) -> bool:
        answer = ask(gateway, 0, **OVERLOADED, **{"x-whygate-timeout-ms": "100"})
        return answer.headers.get("x-whygate-cause") == "proxy.circuit_open"

    for other in others:
        other.until(lambda other=other: is_held(other), 5)  # type: ignore[misc]
    spent = len(team.provider.simulator.ledger.rows) - asked
    print(f"{FAILURES_MIN} calls failed at one gateway; the other two knew it after {spent} attempts of their own")
    assert spent < FAILURES_MIN
    first.until(lambda: ask(first, 0).status_code == 200, 5)
    for other in others:
        other.until(lambda other=other: ask(other, 0).status_code == 200, 2)  # type: ignore[misc]


def test_a_limit_that_one_gateway_was_told_is_known_to_all(tmp_path: Path) -> None:
    with teamwork(tmp_path, extra=NO_RULE, state_limits=True) as team:
        first, *others = team.gateways
        assert ask(first, 0).status_code == 200
        known = known_limits(team, first)
        assert {kind for kind, _ in known} >= {"requests", "tokens"}
        for other in others:
            other.until(lambda other=other: known_limits(team, other) == known, 5)  # type: ignore[misc]
        assert len(team.provider.simulator.ledger.rows) == 1
