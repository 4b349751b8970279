"""What the demo's children get to see, and what is said when one of them fails."""

from pathlib import Path

import pytest

from gateway.demo.children import DemoError, clean, gateway, run_app


def test_children_see_nothing_of_the_users_proxies_keys_and_settings() -> None:
    theirs = {
        "HTTPS_PROXY": "x", "https_proxy": "x", "NO_PROXY": "x", "ALL_PROXY": "x", "SSL_CERT_FILE": "x",
        "SSL_CERT_DIR": "x", "OPENAI_API_KEY": "x", "ANTHROPIC_BASE_URL": "x", "WHYGATE_CACHE__ENABLED": "x",
        "PATH": "/bin", "HOME": "/root",
    }  # fmt: skip
    assert clean(theirs) == {"PATH": "/bin", "HOME": "/root"}


async def test_a_gateway_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DemoError) as told:
        async with gateway(tmp_path, "[nonsense]\n"):
            pass
    assert "ended while starting" in told.value.what
    assert "nonsense" in told.value.where


async def test_an_app_that_crashes_is_quoted() -> None:
    with pytest.raises(DemoError) as told:
        await run_app("no-such-part", {})
    assert "KeyError: 'no-such-part'" in told.value.where
