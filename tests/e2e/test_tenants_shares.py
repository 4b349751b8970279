"""Tenants that wait for one limit get what their shares say, however many apps each of them has."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.simulate import LedgerRow
from tests.e2e.teamwork import Crowd, OneOrganisation, Said, teamwork
from tests.e2e.world import Provider
from tests.running import GatewayProcess, config_for

SHARES = {"many": 1, "some": 1, "few": 2}
CLIENTS = {"many": 30, "some": 20, "few": 10}
TOKENS = {name: f"canary-token-of-{name}-0123456789" for name in SHARES}
TENANTS = "".join(
    f'[[team.tenants]]\nname = "{name}"\ntoken_env = "TOKEN_{name.upper()}"\nshare = {share}\n'
    for name, share in SHARES.items()
)
CALLS_PER_SECOND = 40
LIMIT = f'[[limits.rules]]\nprovider = "openai"\nper_second = {CALLS_PER_SECOND}\n'
EVERY_SECONDS, AT_ONCE = 0.05, 3
"""Each client has several calls under way: of a window of one second all is used at its beginning, and a tenant that has
fewer calls waiting by then than are its share leaves the others the rest."""

SECONDS, SETTLED_SECONDS, COUNTED_SECONDS = 12.0, 2.0, 9.0


def counted(said: Said, began: float) -> Counter[str]:
    """Count the good answers of each tenant once everybody waits (``began`` is monotonic)."""
    since = began + SETTLED_SECONDS
    return Counter(
        name for at, _, name, status in said.answers if since <= at < since + COUNTED_SECONDS and status == 200
    )


def is_fair(by_tenant: Counter[str]) -> bool:
    fair = {name: by_tenant.total() * share / sum(SHARES.values()) for name, share in SHARES.items()}
    return all(abs(by_tenant[name] - wanted) <= 0.1 * wanted for name, wanted in fair.items())


def keeps_the_limit(rows: Sequence[LedgerRow]) -> bool:
    """Whether no more came than a window of a second lets through in all that time, its first burst included."""
    return len(rows) <= CALLS_PER_SECOND * (rows[-1].started_at - rows[0].started_at + 1) * 1.01


def members_of(gateways: Sequence[GatewayProcess]) -> list[tuple[GatewayProcess, str]]:
    """Give every tenant clients at every gateway."""
    return [(gateways[n % len(gateways)], name) for name, count in CLIENTS.items() for n in range(AT_ONCE * count)]


@pytest.mark.parametrize("counts", [{"a": 1}, {"few": 50, "some": 25, "many": 31}, {"few": 34, "some": 33, "many": 33}])
def test_what_is_not_fair_is_seen(counts: dict[str, int]) -> None:
    assert not is_fair(Counter(counts))
    assert is_fair(Counter({"few": 50, "some": 26, "many": 24}))


def test_at_one_gateway_each_tenant_gets_its_share_of_one_limit(tmp_path: Path) -> None:
    """Sixty apps have 180 calls under way, and 40 a second may pass."""
    provider = Provider(state_limits=False, simulator=OneOrganisation)
    env = {f"TOKEN_{name.upper()}": token for name, token in TOKENS.items()}
    gateway = GatewayProcess(tmp_path / "gateway", config_for(provider.port, LIMIT + TENANTS), env=env)
    try:
        for name in TOKENS:  # a key whose account is not known yet has a limit of its own
            Crowd([(gateway, name)], 0.1, EVERY_SECONDS, TOKENS).wait()
        threading.Event().wait(1.1)  # what that took of the limit is over
        began, since = time.monotonic(), time.time()
        said = Crowd(members_of([gateway]), SECONDS, EVERY_SECONDS, TOKENS).wait()
        by_tenant = counted(said, began)
        rows = sorted((row for row in provider.rows() if row.started_at > since), key=lambda row: row.started_at)
    finally:
        gateway.stop()
        provider.close()
    print(f"{by_tenant.total() / COUNTED_SECONDS:.1f} calls/s, {dict(by_tenant)}")
    assert said.failures == []
    assert is_fair(by_tenant), by_tenant
    assert keeps_the_limit(rows)
    assert by_tenant.total() >= 0.9 * CALLS_PER_SECOND * COUNTED_SECONDS


def test_over_three_gateways_each_tenant_gets_its_share_of_one_limit(tmp_path: Path) -> None:
    with teamwork(tmp_path, extra=LIMIT + TENANTS, tokens=TOKENS) as team:
        team.introduce(*TOKENS)
        threading.Event().wait(1.1)  # what that took of the limit is over
        began, since = time.monotonic(), time.time()
        said = team.crowd(*members_of(team.gateways), seconds=SECONDS, every=EVERY_SECONDS).wait()
        by_tenant = counted(said, began)
        rows = team.rows(since, time.time())
        assert team.is_together()
    print(f"{by_tenant.total() / COUNTED_SECONDS:.1f} calls/s, {dict(by_tenant)}")
    assert said.failures == []
    assert is_fair(by_tenant), by_tenant
    assert keeps_the_limit(rows)
    assert by_tenant.total() >= 0.9 * CALLS_PER_SECOND * COUNTED_SECONDS
