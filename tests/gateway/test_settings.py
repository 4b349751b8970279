"""What can be set, and how each mistake is told."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.compose import idle_seconds, opened_ahead
from gateway.settings import Address, ConfigError, Settings, load, parse_address, render_default_toml, resolve
from tests.gateway.factories import ANTHROPIC_ORIGIN, a_call, a_route

ROOT = Path(__file__).parents[2]


def settings_of(tmp_path: Path, toml: str, env: Mapping[str, str] | None = None) -> Settings:
    """Load one file."""
    file = tmp_path / "whygate.toml"
    file.write_text(toml)
    return load(file, env or {})


def problems_of(tmp_path: Path, toml: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Give the problems of one file, the folder left out."""
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, toml, env)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_without_file_or_environment_the_defaults_are_in_force() -> None:
    """The documented defaults."""
    settings = load(None, {"PATH": "/bin", "WHYGATE_STATE": "/x", "WHYGATE_CONFIG": "/y", "WHYGATE_TEST_A__B": "1"})
    assert (str(settings.listen.address), str(settings.page.address)) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert (settings.listen.drain_seconds, settings.limits.queue_max) == (120, 10_000)
    assert (settings.retry.max_attempts, settings.cache.ttl_seconds, settings.record.max_age_days) == (3, 3600, 14)
    assert settings.limits.queue_max_bytes == 256 * 1024 * 1024


def test_the_shipped_file_is_what_the_settings_print() -> None:
    """Byte for byte."""
    assert (ROOT / "config" / "gateway.toml").read_text() == render_default_toml()


def test_the_shipped_file_changes_nothing(tmp_path: Path) -> None:
    """Used as it is, it equals no file."""
    assert settings_of(tmp_path, render_default_toml()) == load(None, {})


def test_the_shipped_file_names_every_key() -> None:
    """Also those without a default, commented out."""
    text = render_default_toml()
    for name, field in Settings.model_fields.items():
        keys = getattr(field.annotation, "model_fields", None)
        assert f"[{name}]" in text
        for key in keys or ():
            assert f"\n{key} = " in text or f"\n#{key} = " in text or f"[[{name}.{key}]]" in text


def test_what_is_commented_out_in_the_shipped_file_is_valid_too(tmp_path: Path) -> None:
    """Each ``#key`` line, taken in."""
    pem = ROOT / "tests" / "nothing.pem"
    lines = [line[1:] if line.startswith("#") and line[1:2] not in {" ", ""} else line for line in
             render_default_toml().splitlines()]  # fmt: skip
    left_out = ("text = ", "token_file = ")  # a fallback has either a text or an upstream, a tenant one token
    document = tomllib.loads("\n".join(x for x in lines if "ca_file" not in x and not x.startswith(left_out)))
    assert document["limits"]["rules"][0]["provider"] == "openai"
    settings = Settings.model_validate(document)
    assert settings.providers[0].upstream == "https://relay.example.com/v1"
    assert settings.fallback[0].upstream == "http://127.0.0.1:11434"
    assert not pem.exists()


@pytest.mark.parametrize("example", sorted((ROOT / "config" / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_valid_and_changes_something(example: Path) -> None:
    """As it is shipped."""
    assert load(example, {}) != load(None, {})


def test_settings_cannot_be_changed_after_loading() -> None:
    """Frozen."""
    with pytest.raises(ValidationError):
        load(None, {}).cache.enabled = False


def test_environment_wins_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    """Key by key; the origin of each is known."""
    file = tmp_path / "a.toml"
    file.write_text("[cache]\nenabled = false\nttl_seconds = 5\n[retry]\nmax_attempts = 2\n")
    env = {"WHYGATE_CACHE__TTL_SECONDS": "7", "WHYGATE_LISTEN__ADDRESS": "127.0.0.1:1", "WHYGATE_RETRY__STRICT": ""}
    resolved = resolve(file, env, {"listen.address": ("127.0.0.1:2", "--listen")})
    assert resolved.settings.cache.enabled is False
    assert (resolved.settings.cache.ttl_seconds, resolved.settings.retry.max_attempts) == (7, 2)
    assert resolved.settings.listen.address == Address("127.0.0.1", 2)
    assert resolved.origins["cache.enabled"] == str(file)
    assert resolved.origins["cache.ttl_seconds"] == "WHYGATE_CACHE__TTL_SECONDS"
    assert resolved.origins["listen.address"] == "--listen"
    assert resolved.origins["record.bodies"] == "default"


def test_lists_can_come_from_the_environment() -> None:
    """Tables as JSON, names with commas."""
    env = {
        "WHYGATE_LIMITS__RULES": '[{"provider": "openai", "per_second": 5}]',
        "WHYGATE_PROVIDERS": '[{"name": "openai", "upstream": "http://127.0.0.1:9080/"}]',
        "WHYGATE_PAGE__ALLOWED_HOSTS": "a.example, B.example",
    }
    settings = load(None, env)
    assert settings.limits.rules[0].per_second == 5.0
    assert settings.providers[0].upstream == "http://127.0.0.1:9080"
    assert settings.page.allowed_hosts == ("a.example", "b.example")


MISTAKES = {
    "syntax": ("[listen]\naddress = \n", "whygate.toml, line 2: expected TOML (invalid value)"),
    "end of document": ("[listen]\n\naddress = [1,", "whygate.toml, line 3: expected TOML"),
    "unknown key": ("[listen]\nadress = '127.0.0.1:1'", "listen.adress = '127.0.0.1:1': expected a known key"),
    "nearest key": ("[listen]\nadress = '127.0.0.1:1'", "Did you mean address?"),
    "unknown section": ("[cahce]\nenabled = true", "Did you mean cache?"),
    "unknown key in a table": ("[[limits.rules]]\nprovider='a'\nrmp=1", "limits.rules[0].rmp = 1"),
    "wrong type": ("[limits]\nqueue_max = '10'", "limits.queue_max = '10': expected a whole number."),
    "whole number for a truth": ("[record]\nbodies = 1", "record.bodies = 1: expected true or false."),
    "too small": ("[retry]\nmax_attempts = 0", "retry.max_attempts = 0: expected at least 1."),
    "too large": ("[retry]\nmax_attempts = 11", "expected at most 10."),
    "section is no table": ("listen = 3", "listen = 3: expected a table."),
    "no colon": ("[listen]\naddress = '8080'", "expected HOST:PORT, for example 127.0.0.1:8080"),
    "port out of range": ("[page]\naddress = '127.0.0.1:65536'", "expected a port between 0 and 65535"),
    "port is no number": ("[page]\naddress = '127.0.0.1:http'", "expected a port between 0 and 65535"),
    "ipv6 without brackets": ("[page]\naddress = '::1:80'", "IPv6 in brackets"),
    "open to all": ("[listen]\naddress = '0.0.0.0:8080'", "or a token beside it: without one, strangers"),
    "a page open to all": (
        "[page]\naddress = '[::]:8081'",
        "page.address = '[::]:8081': expected an address that only",
    ),
    "a token that an address cannot hold": ("[listen]\ntoken = 'with/a/slash/in/it'", "expected letters, digits, and"),
    "a short token": ("[listen]\ntoken = 'fifteen-letters'", "listen.token = ***: expected at least 16 characters."),
    "a URL for a host": ("[listen]\nallow_hosts = ['http://a']", "listen.allow_hosts[0] = 'http://a': expected a host"),
    "a name": ("[listen]\naddress = 'myhost:8080'", "expected an address of this machine"),
    "address twice": ("[page]\naddress = '127.0.0.1:8080'", "listen.address and page.address that differ"),
    "rule without limit": (
        "[[limits.rules]]\nprovider = 'openai'",
        "at least one of per_second, rpm, rph, rpd, tpm, tpd, concurrency",
    ),
    "rule without provider": ("[[limits.rules]]\nrpm = 1", "provider: expected a value (this key is required)."),
    "not a number": ("[[limits.rules]]\nprovider='a'\nper_second = nan", "limits.rules[0].per_second = nan"),
    "relative path": ("[network]\nca_file = 'a.pem'", "expected an absolute path"),
    "no such file": ("[network]\nca_file = '/nonexistent/a.pem'", "expected a readable PEM file"),
    "no certificate in it": ("[network]\nca_file = '/dev/null'", "expected a PEM file with at least one certificate"),
    "plain http": ("[[providers]]\nname='a'\nupstream='http://relay.example'", "expected https: plain http would"),
    "no scheme": ("[[providers]]\nname='a'\nupstream='relay.example'", "expected an address like https://"),
    "bad port": ("[[providers]]\nname='a'\nupstream='https://a:99999'", "expected an address like https://"),
    "provider twice": (
        "[[providers]]\nname='a'\nhosts=['x']\n" * 2,
        "one [[providers]] table for each name (twice: a)",
    ),
    "the gateway as its own proxy": (
        "[network]\nproxy='http://u:s3cret@localhost:8080'",
        "network.proxy = 'http://***@localhost:8080': expected the address of another proxy (listen.address, 127.0.0.1:8080",
    ),
    "socks without a version": ("[network]\nproxy='socks://localhost:1080'", "socks:// does not say which SOCKS it is"),
    "a connection ahead to nobody": (
        "[network]\npreconnect=['opnai']",
        "network.preconnect = a list: expected names of providers (opnai is none; did you mean openai?)",
    ),
    "a connection ahead to everybody": (
        "[network]\npreconnect=['openai', 'azure']",
        "expected providers that have a host of their own (azure has none, or another for each customer; an upstream in",
    ),
    "answers in a Redis that is not there": (
        "[cache]\nbackend='redis'",
        "cache.backend = 'redis': expected another one (\"auto\"), or the address of a Redis as [team] redis",
    ),
    "a connection ahead to nowhere": ("[network]\npreconnect=['openai_compatible']", "openai_compatible has none"),
    "a provider's name that is none": ("[network]\npreconnect=['https://x']", "network.preconnect[0] = 'https://x'"),
    "provider says nothing": ("[[providers]]\nname='a'", "at least one of hosts, upstream, upstream_ca_file"),
}


@pytest.mark.parametrize(("toml", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_file_is_told_with_its_place(tmp_path: Path, toml: str, told: str) -> None:
    """File, key, value, what is expected."""
    (problem,) = problems_of(tmp_path, toml)
    assert told in problem
    assert problem.startswith(("whygate.toml", "settings"))


@pytest.mark.parametrize("name", ["[::1]", "0.0.0.0", "127.1", "127.0.0.1"])
def test_the_gateway_is_not_its_own_proxy_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    (problem,) = problems_of(tmp_path, f"[network]\nproxy = 'socks5h://{name}:8080'")
    assert "is this gateway itself" in problem
    assert settings_of(tmp_path, f"[network]\nproxy = 'socks5h://{name}:8081'").network.proxy is not None


def test_a_connection_can_be_kept_to_providers_of_ones_own_and_to_one_that_has_an_upstream(tmp_path: Path) -> None:
    tables = "[[providers]]\nname='azure'\nupstream='https://me.openai.azure.com'\n[[providers]]\nname='mine'\nhosts=['llm.test']\n"
    settings = settings_of(tmp_path, "[network]\npreconnect = ['azure', 'mine', 'anthropic']\n" + tables)
    assert [(target.name, str(target.origin)) for target in opened_ahead(settings)] == [
        ("azure", "https://me.openai.azure.com"),
        ("mine", "https://llm.test"),
        ("anthropic", "https://api.anthropic.com"),
    ]


def test_all_mistakes_of_all_sources_are_told_at_once(tmp_path: Path) -> None:
    """Nobody wants to find them one by one."""
    env = {"WHYGATE_CACHE__ENABLED": "maybe", "WHYGATE_CACHE__TTL": "1", "WHYGATE_LISTEN_ADDRESS": "x"}
    problems = problems_of(tmp_path, "[retry]\nmax_attempts = 0\nstrikt = true\n", env)
    assert [p.partition(":")[0] for p in problems] == [
        "WHYGATE_CACHE__TTL",
        "WHYGATE_LISTEN_ADDRESS",
        "whygate.toml",
        "whygate.toml",
        "WHYGATE_CACHE__ENABLED",
    ]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("WHYGATE_CACHE__TTL", "WHYGATE_CACHE__TTL_SECONDS"),
        ("WHYGATE_LISTEN_ADDRESS", "WHYGATE_LISTEN__ADDRESS"),
        ("WHYGATE_CAHCE__ENABLED", "WHYGATE_CACHE__ENABLED"),
        ("WHYGATE_LISTEN", "WHYGATE_LISTEN__"),
    ],
)
def test_a_misspelt_variable_is_an_error_not_a_default(name: str, suggestion: str) -> None:
    """Ignoring it would silently run with other settings."""
    with pytest.raises(ConfigError, match=f"Did you mean {suggestion}"):
        load(None, {name: "1"})


@pytest.mark.parametrize(
    "toml",
    [
        "[page]\ntoken = 'hunter2secret'",
        "[page]\ntokn = 'sk-abcdefghijklmnop1234567'",
        "api_key = 'hunter2secret'",
        "[[providers]]\nname='a'\nupstream='https://me:hunter2secret@relay.example'",
    ],
)
def test_a_secret_is_never_repeated(tmp_path: Path, toml: str) -> None:
    """Error texts end up in tickets."""
    told = "\n".join(problems_of(tmp_path, toml))
    assert "hunter2secret" not in told
    assert "abcdefghijklmnop" not in told
    assert "***" in told


def test_the_token_does_not_show_in_the_settings(tmp_path: Path) -> None:
    """They are logged one day."""
    settings = settings_of(tmp_path, "[page]\ntoken = 'hunter2-hunter2-hunter2'")
    assert settings.page.token is not None
    assert settings.page.token.get_secret_value() == "hunter2-hunter2-hunter2"
    assert "hunter2" not in repr(settings)


def test_a_missing_file_a_folder_and_a_binary_file_are_told(tmp_path: Path) -> None:
    """One sentence each."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"a = '\xff'")
    for path, told in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory"), (binary, "UTF-8")):
        with pytest.raises(ConfigError, match=told):
            load(path, {})


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    file = tmp_path / "a.toml"
    file.write_text("[record]\nbodies = false\n", encoding="utf-8-sig")
    assert not load(file, {}).record.bodies


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:8080", "localhost:65535"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    """Both directions."""
    assert str(parse_address(text)) == text
    assert parse_address(text).is_loopback


def test_an_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    """From whichever source; the key that is named is the address's."""
    token = "a-long-random-text"
    settings = settings_of(tmp_path, f"[listen]\naddress = '0.0.0.0:8080'\ntoken = '{token}'\n")
    assert (settings.listen.secret, settings.page.secret) == (token, "")
    assert load(
        None, {"WHYGATE_LISTEN__ADDRESS": "[::]:1", "WHYGATE_LISTEN__TOKEN": token}
    ).listen.address.is_everywhere
    with pytest.raises(ConfigError, match=r"^--listen: listen\.address = '192\.168\.0\.1:1': .*WHYGATE_LISTEN__TOKEN"):
        load(None, {}, {"listen.address": ("192.168.0.1:1", "--listen")})
    assert token not in repr(settings)


@pytest.mark.parametrize(
    ("text", "from_here"),
    [
        ("0.0.0.0:8", "127.0.0.1:8"),
        ("[::]:8", "[::1]:8"),
        ("192.168.0.1:8", "192.168.0.1:8"),
        ("localhost:8", "localhost:8"),
    ],
)
def test_this_machine_does_not_call_an_address_that_stands_for_all(text: str, from_here: str) -> None:
    assert str(parse_address(text).from_here) == from_here


def test_hosts_that_may_be_reached_are_written_in_several_ways() -> None:
    env = {"WHYGATE_LISTEN__ALLOW_HOSTS": "A.example, *.b.example:8443, 10.0.0.7, [fd00::1]:80"}
    assert load(None, env).listen.allow_hosts == ("a.example", "*.b.example:8443", "10.0.0.7", "[fd00::1]:80")


def test_a_route_may_have_a_patience_of_its_own_and_the_first_rule_that_matches_counts() -> None:
    rules = [
        {"route": "openai/v1/embeddings", "seconds": 30},
        {"route": "openai/*", "seconds": 60},
    ]
    patience = idle_seconds(Settings.model_validate({"network": {"idle_seconds": 900, "idle": rules}}))
    assert patience(a_route(a_call(target=b"/v1/embeddings?x=1"))) == 30
    assert patience(a_route()) == 60
    anthropic = a_call(origin=ANTHROPIC_ORIGIN, target=b"/v1/messages")
    assert patience(a_route(anthropic)) == 900
    assert idle_seconds(Settings())(a_route()) == 600
