"""What the documents say is so."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from gateway.cli.application import app
from gateway.settings import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
VERBS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert f"whygate {verb}" in README


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example_or_its_parts(verb: str) -> None:
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    assert "Example" in (command.help or "") or hasattr(command, "commands"), verb


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


def test_every_path_in_contributing_exists_but_for_the_examples_of_new_ones() -> None:
    named = re.findall(
        r"`((?:gateway|addons|tests|config)/[\w./]+\.(?:py|toml))`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    new = {"gateway/providers/acme.py", "gateway/cache/backends/disk.py", "tests/gateway/providers/test_acme.py"}
    new |= {"gateway/simulate/faces/acme.py", "tests/gateway/simulate/test_acme_face.py"}
    assert [path for path in named if path not in new and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.toml")), ids=lambda path: path.name)
def test_every_example_configuration_is_valid(path: Path) -> None:
    load(path, {})


def test_contributing_gives_a_reason_for_every_dependency() -> None:
    wanted = re.findall(
        r'^  "([a-z0-9-]+)[=>;]', (ROOT / "pyproject.toml").read_text().split("[project.scripts]")[0], re.MULTILINE
    )
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Dependencies")[1].lower()
    assert [name for name in wanted if name not in section] == []
