"""What may change while the gateway runs, and what is named because it cannot."""

from fnmatch import fnmatchcase

import pytest

from gateway.reloading import LIVE, compared
from gateway.settings import Address, Listen, Settings
from gateway.settings.load import resolve
from gateway.settings.sources import known_keys

RESTART = {
    *("listen.address", "listen.token", "page.address", "page.token", "page.allowed_hosts"),
    *("cache.backend", "cache.max_bytes", "network.proxy", "network.no_proxy", "network.ca_file", "network.preconnect"),
    *("observe.log", "observe.otel"),
}
KEYS = [".".join(key) for key in known_keys()]


def settings(**variables: str) -> Settings:
    env = {f"WHYGATE_{name.upper()}": value for name, value in variables.items()}
    return resolve(None, env).settings


def test_somebody_has_decided_about_every_key() -> None:
    """Also about those of a team, which all need a restart."""
    waits = {key for key in KEYS if not any(fnmatchcase(key, glob) for glob in LIVE)}
    assert {key for key in waits if not key.startswith("team.")} == RESTART
    assert [glob for glob in LIVE if not any(fnmatchcase(key, glob) for key in KEYS)] == []


def test_nothing_changed_is_nothing_changed() -> None:
    same = settings(cache__ttl_seconds="60")
    assert compared(same, settings(cache__ttl_seconds="60")) == ((), (), same)


def test_what_waits_for_a_restart_stays_as_it_was_and_all_else_is_in_force() -> None:
    old = settings(listen__address="127.0.0.1:9000", cache__ttl_seconds="60")
    new = settings(listen__address="127.0.0.1:9001", cache__ttl_seconds="61", listen__drain_seconds="5")
    changed, restart, in_force = compared(old, new)
    assert (changed, restart) == (("listen.drain_seconds", "cache.ttl_seconds"), ("listen.address",))
    assert in_force.listen == Listen(address=Address("127.0.0.1", 9000), drain_seconds=5)
    assert in_force.cache.ttl_seconds == 61
    assert compared(in_force, new)[:2] == ((), ("listen.address",)), "and is named again the next time"


@pytest.mark.parametrize(("can_cache", "kind"), [(True, 0), (False, 1)])
def test_a_cache_that_was_off_at_the_start_cannot_be_turned_on(can_cache: bool, kind: int) -> None:
    found = compared(settings(cache__enabled="false"), settings(), can_cache=can_cache)
    assert found[kind] == ("cache.enabled",)
    assert found[1 - kind] == ()
    assert found[2].cache.enabled is can_cache


def test_secrets_are_compared_and_never_told() -> None:
    one, other = settings(page__token="canary-" + "a" * 16), settings(page__token="canary-" + "b" * 16)
    told = compared(one, other)
    assert told[1] == ("page.token",)
    assert "canary" not in repr(told)
