"""A quicker start."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from gateway.light import lighten
lighten()
import gateway.app
heavy = {"flask", "ldap3", "mitmproxy.addons.view", "mitmproxy.addons.onboarding"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("program", [PROGRAM, "import gateway.app; from gateway.light import lighten; lighten()"])
def test_the_gateway_imports_with_and_without_mitmproxy_s_own_addons(program: str) -> None:
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
