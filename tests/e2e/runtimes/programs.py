"""The processes that hold the clients: how each is started, and what must be installed for it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.running import CLEAN
from tests.tools import require_tool

HERE = Path(__file__).parent
_NODE = HERE / "node"
_BUILT = HERE / "rust/.target"
_DEBIAN_CRATES = Path("/usr/share/cargo/registry")

QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else importing it asks a server for prices
    "DENO_NO_UPDATE_CHECK": "1",
}
"""What keeps libraries from calling anyone else."""

PACKAGES = "bash tests/e2e/runtimes/install"


def _python() -> list[str]:
    return [sys.executable, str(HERE / "python/clients.py")]


def _python_more() -> list[str]:
    return [require_tool(str(HERE / "python/.venv/bin/python"), PACKAGES), str(HERE / "python/clients.py")]


def _from_npm(path: str, *arguments: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        return [require_tool(str(_NODE / "node_modules" / path), PACKAGES), *arguments, str(_NODE / "clients.mjs")]

    return command


def _from_debian(tool: str, package: str, app: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        return [require_tool(tool, f"apt-get install {package}"), str(HERE / "apps" / app)]

    return command


def _php() -> list[str]:
    php = require_tool("php", "apt-get install php-cli php-curl")
    return [php, str(HERE / "apps/client.php")]


def _java() -> list[str]:
    require_tool("javac", "apt-get install default-jdk-headless")
    return [require_tool("java", "apt-get install default-jdk-headless"), str(HERE / "apps/Client.java")]


def _go() -> list[str]:
    return [require_tool("go", "apt-get install golang-go"), "run", str(HERE / "apps/client.go")]


@cache
def _rust() -> list[str]:
    """Build it of Debian's crates; without them it is skipped everywhere, since they take over a minute."""
    cargo = shutil.which("cargo")
    if cargo is None or not list(_DEBIAN_CRATES.glob("reqwest-*")):
        pytest.skip("Rust is not set up: apt-get install cargo librust-reqwest-dev")
    words = [
        cargo, "build", "--quiet", "--offline", "--manifest-path", str(HERE / "rust/Cargo.toml"),
        "--target-dir", str(_BUILT),
        "--config", 'source.crates-io.replace-with="debian"',
        "--config", f'source.debian.directory="{_DEBIAN_CRATES}"',
    ]  # fmt: skip
    subprocess.run(words, env=CLEAN, check=True, capture_output=True, timeout=110)
    return [str(_BUILT / "debug/whygate-runtime")]


COMMANDS: Mapping[str, Callable[[], list[str]]] = {
    "python": _python,
    "python-more": _python_more,
    "node20": _from_npm("node20/bin/node"),
    "node24": _from_npm("node24/bin/node"),
    "bun": _from_npm(".bin/bun", "run"),
    "deno": _from_npm("@deno/linux-x64-glibc/deno", "run", "--allow-all", "--cached-only"),
    "curl": _from_debian("sh", "dash", "client.sh"),
    "java": _java,
    "go": _go,
    "rust": _rust,
    "ruby": _from_debian("ruby", "ruby", "client.rb"),
    "php": _php,
}
