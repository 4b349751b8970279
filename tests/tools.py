"""Programs that some tests need and not every machine has."""

import os
import shutil

import pytest


def require_tool(name: str, how: str) -> str:
    """Give the path of a program; without it skip the test, or fail where every test has to run.

    Args:
        how: What to type to install it.
    """
    found = shutil.which(name)
    if found is None:
        words = f"{name} is not installed: {how}"
        if os.environ.get("WHYGATE_TEST_REQUIRE_ALL") == "1":
            pytest.fail(words)
        pytest.skip(words)
    return found
