"""``whygate capture`` and ``whygate replay``: a call is seen whole, and sent again, by the commands a person types."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.world import World, job, new_key
from tests.running import CLEAN, ROOT


def _whygate(world: World, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--state", str(world.gateway.state)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=CLEAN | env,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture
def kept(world: World) -> Iterator[World]:
    """Bodies are kept meanwhile."""
    said = _whygate(world, "capture", "--for", "2m", "--yes")
    assert said.returncode == 0, said.stderr
    assert "whygate replay ID" in said.stderr
    yield world
    assert _whygate(world, "capture", "--stop").returncode == 0


def test_a_call_is_sent_again_as_it_was_and_marked(kept: World) -> None:
    asked = job("chat", "the very same prompt", stream=False)
    first = kept.row(kept.proxied.ask_one(asked))
    key = new_key()
    said = _whygate(kept, "replay", first["id"], "--yes", "--json", OPENAI_API_KEY=key)
    assert said.returncode == 0, said.stderr
    again = json.loads(said.stdout)
    assert (again["replay_of"], again["status"], again["state"]) == (first["id"], 200, "done")
    assert again["request_body"] == first["request_body"]
    (seen,) = kept.provider.rows(key)
    assert seen.status == 200
    assert key not in said.stdout + said.stderr


def test_a_failure_that_comes_again_is_told_with_its_cause(kept: World) -> None:
    asked = job("chat", "x", model="simulate:auth.invalid_key", max_retries=0)
    first = kept.row(kept.proxied.ask_one(asked))
    said = _whygate(kept, "replay", first["id"], "--yes", OPENAI_API_KEY=new_key())
    assert said.returncode == 1
    assert "auth.invalid_key" in said.stdout
    assert "What to do" in said.stdout


def test_a_call_whose_body_was_not_kept_is_not_sent(world: World) -> None:
    row = world.row(world.proxied.ask_one(job("chat", "gone")))
    key = new_key()
    said = _whygate(world, "replay", row["id"], "--yes", OPENAI_API_KEY=key)
    assert said.returncode == 2
    assert "was not kept" in said.stderr
    assert "whygate capture --for 10m" in said.stderr
    assert world.provider.rows(key) == []


def test_nothing_is_sent_unless_somebody_agrees(kept: World) -> None:
    row = kept.row(kept.proxied.ask_one(job("chat", "ask me first")))
    key = new_key()
    said = _whygate(kept, "replay", row["id"], OPENAI_API_KEY=key)
    assert said.returncode == 2
    assert "--yes" in said.stderr
    assert kept.provider.rows(key) == []


def test_without_a_key_it_says_which_one_it_needs(kept: World) -> None:
    row = kept.row(kept.proxied.ask_one(job("chat", "no key here")))
    said = _whygate(kept, "replay", row["id"], "--yes")
    assert said.returncode == 2
    assert "OPENAI_API_KEY" in said.stderr


def test_a_body_with_a_credential_in_it_is_not_sent_changed(kept: World) -> None:
    row = kept.row(kept.proxied.ask_one(job("chat", f"my key is {new_key()}")))
    said = _whygate(kept, "replay", row["id"], "--yes", OPENAI_API_KEY=new_key())
    assert said.returncode == 2
    assert "was not kept as it was" in said.stderr


@pytest.mark.parametrize(
    "words", [("capture", "--for", "2h"), ("capture", "--for", "soon"), ("capture", "--for", "0m")]
)
def test_keeping_bodies_has_an_end(world: World, words: tuple[str, ...]) -> None:
    said = _whygate(world, *words, "--yes")
    assert said.returncode == 2
    assert "up to one hour" in said.stderr


def test_without_a_gateway_both_say_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("none")
    for words in (("capture", "--yes"), ("replay", "last", "--yes")):
        said = subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--state", str(empty)],
            cwd=ROOT, env=CLEAN | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert said.returncode == 2, words
        assert "whygate start" in said.stderr
        assert "Traceback" not in said.stderr
