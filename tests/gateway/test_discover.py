"""Plug-ins are found by their file, and a file that is none is an error at the start."""

import sys
from pathlib import Path

import pytest

from gateway._discover import discover
from gateway.cache.backend import Backend
from gateway.model.provider import Provider


def test_every_provider_is_found_under_its_own_name() -> None:
    found = discover("gateway.providers", "PROVIDER", Provider)
    assert {"anthropic", "openai"} <= set(found)
    names = {"azure_openai": "azure"}  # as people say it in a base URL
    assert {name: provider.name for name, provider in found.items()} == {name: names.get(name, name) for name in found}


def test_every_cache_backend_is_found_under_its_own_name() -> None:
    found = discover("gateway.cache.backends", "BACKEND", Backend)
    assert {name: backend.name for name, backend in found.items()} == {name: name for name in found}


def test_plug_ins_come_in_the_order_of_their_file_names() -> None:
    found = list(discover("gateway.providers", "PROVIDER", Provider))
    assert sorted(found) == found


@pytest.mark.parametrize("source", ["", "PLUG_IN = 3\n"], ids=["nothing exported", "another type"])
def test_a_file_that_exports_no_plug_in_is_named(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plug_ins_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "empty.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=r"plug_ins_of_a_test\.empty exports no PLUG_IN of type str"):
        discover("plug_ins_of_a_test", "PLUG_IN", str)
    for name in [name for name in sys.modules if name.startswith("plug_ins_of_a_test")]:
        del sys.modules[name]
