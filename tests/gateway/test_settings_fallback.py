"""``[[fallback]]``: what can be written, and how each mistake is told."""

from pathlib import Path

import pytest

from gateway.compose import fallbacks, fence
from gateway.configured import ways
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.settings import Settings, load
from tests.gateway.test_settings import problems_of, settings_of

LOCAL = '[[fallback]]\nname = "local"\nupstream = "http://127.0.0.1:11434"\n'


def test_nobody_has_one_unasked() -> None:
    assert fallbacks(load(None, {})) == ()


def test_what_is_written_is_what_the_path_is_given(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        '[[fallback]]\nname = "LM Studio"\nprovider = "openai"\nmodel = "gpt-*"\ncauses = ["network.*", "service.*"]\n'
        'upstream = "http://[::1]:1234/v1/"\nmodels = { "*-mini" = "small", "*" = "large" }\ntimeout_seconds = 5\n'
        '[[fallback]]\nname = "sorry"\ntext = "Not now."\n',
    )
    first, second = fallbacks(settings)
    assert (first.name, first.provider, first.model) == ("LM Studio", "openai", "gpt-*")
    assert (first.origin, first.prefix) == (Origin("http", "::1", 1234), b"/v1")
    assert [first.model_for(asked) for asked in ("gpt-5-mini", "gpt-5")] == ["small", "large"]
    assert first.timeout_seconds == 5.0
    assert (second.text, second.origin, second.causes, second.timeout_seconds) == (
        "Not now.",
        None,
        ("network.*",),
        60.0,
    )
    assert second.answers("anybody", "anything", (Cause.NETWORK_OFFLINE,))
    assert not second.answers("anybody", "anything", (Cause.SERVICE_OVERLOADED,))
    assert not first.answers("anthropic", "gpt-5", (Cause.NETWORK_OFFLINE,))
    assert not first.answers("openai", "o4", (Cause.NETWORK_OFFLINE,))


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[[fallback]]\nname = "x"\n', "expected exactly one of upstream, text"),
        (LOCAL + 'text = "no"\n', "expected exactly one of upstream, text"),
        ('[[fallback]]\ntext = "no"\n', "fallback[0].name: expected a value"),
        ('[[fallback]]\nname = "a\\r\\nb"\ntext = "no"\n', "fallback[0].name"),
        ('[[fallback]]\nname = "x"\ntext = ""\n', "fallback[0].text"),
        ('[[fallback]]\nname = "x"\ntext = "no"\nmodels = { "*" = "a" }\n', "an upstream beside it"),
        (LOCAL + "models = {}\n", "at least one model, or the key left out"),
        (LOCAL.replace("127.0.0.1", "10.0.0.7"), "plain http would show your API key"),
        (LOCAL.replace("http://", "http://me:secret@"), "no user name, password"),
        (LOCAL + 'causes = ["auth.invalid_key"]\n', "auth.invalid_key is to be mended"),
        (LOCAL + 'causes = ["network.*", "quota.*"]\n', "quota.exhausted is to be mended"),
        (LOCAL + 'causes = ["*"]\n', "a fallback would hide it"),
        (LOCAL + 'causes = ["proxy.*"]\n', "a fallback would hide it"),
        (LOCAL + 'causes = ["rate_limit.requests"]\n', "a fallback would hide it"),
        (LOCAL + 'causes = ["networks.*"]\n', "no cause is called that"),
        (LOCAL + "causes = []\n", "fallback[0].causes"),
        (LOCAL + "timeout_seconds = 0\n", "at least 1"),
        (LOCAL + LOCAL, "one [[fallback]] table for each name (twice: local)"),
        (LOCAL + "upstreams = 1\n", "Did you mean upstream?"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, toml: str, told: str) -> None:
    (problem,) = problems_of(tmp_path, toml)
    assert problem.startswith("whygate.toml")
    assert told in problem
    assert "secret" not in problem


@pytest.mark.parametrize("cause", ["network.tls_*", "service.*", "edge.blocked", "proxy.circuit_open"])
def test_what_passes_by_itself_may_fall_back(tmp_path: Path, cause: str) -> None:
    settings = settings_of(tmp_path, LOCAL + f'causes = ["{cause}"]\n')
    assert settings.fallback[0].causes == (cause,)


def test_a_gateway_that_others_reach_may_go_to_its_own_fallback(tmp_path: Path) -> None:
    """Else the fence would keep it from an address of this machine."""
    listen = '[listen]\naddress = "0.0.0.0:8080"\ntoken = "aaaaaaaaaaaaaaaaaaaaaaaa"\n'

    def bars(settings: Settings, port: int) -> str | None:
        bounds = fence(settings, ways(settings, {})[0])
        assert bounds is not None
        return bounds.bars_address("127.0.0.1", port, "127.0.0.1")

    settings = settings_of(tmp_path, listen + LOCAL)
    assert bars(settings, 11_434) is None
    assert bars(settings, 11_435)
