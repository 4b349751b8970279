"""The document of ``/api/cache``."""

import json
import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.cache.backend import Contents, Size
from gateway.cache.counts import Counts
from gateway.cache.kept import FILE_BYTES_MAX, read, write
from gateway.cache.repeats import GROUP_PROMPTS_MAX, PROMPTS_MAX, Repeats
from gateway.cache.rule import CacheRule
from gateway.cache.view import rule_text, suggestions_view, view
from gateway.files import StateError
from gateway.model.decision import Label
from tests.gateway.cache.test_repeats import ABOUT, SYSTEM, see


def made_rule(**changes: Any) -> CacheRule:
    values: dict[str, Any] = {"name": "embeddings", "endpoint": "embeddings", "ttl_seconds": 3_600.0}
    return CacheRule(**(values | changes))


@dataclass
class MadeShelf:
    held: Contents | None = None
    repeats: Repeats = field(default_factory=Repeats)
    counts: Counts = field(default_factory=Counts)
    backend_name: str = "sqlite"
    max_bytes: int = 256 * 2**20
    degraded: str | None = None
    rules: tuple[CacheRule, ...] = ()

    async def contents(self) -> Contents | None:
        return self.held


HELD = Contents(
    entries=3,
    size_bytes=3_000,
    disk_bytes=40_960,
    oldest_at=1_000.0,
    by_label={
        Label(provider="openai", endpoint="embeddings", model="text-embedding-3-small", key="ab12cd34", rule="embeddings"): Size(1, 500),
        Label(provider="openai", endpoint="chat.completions", model="bad\udcff", rule="mine"): Size(2, 2_500),
    },
    damaged=1,
)  # fmt: skip


async def test_a_cache_that_is_off_says_only_that() -> None:
    assert await view(None) == {"enabled": False}


async def test_it_says_what_is_held_what_was_saved_and_what_could_be() -> None:
    shelf = MadeShelf(HELD, rules=(made_rule(header=((b"x-tenant", "s3cret"),), match=(("temperature", 0),)),))
    shelf.counts.note("hit", ABOUT, 1_000_000, 0)
    see(shelf.repeats, "a", 0.0, 60.0, 120.0)
    document = await view(shelf, wall=lambda: 1_060.0)
    assert document | {"suggestions": []} == {
        "enabled": True,
        "backend": "sqlite",
        "degraded": None,
        "damaged": 1,
        "entries": 3,
        "size_bytes": 3_000,
        "max_bytes": 268_435_456,
        "disk_bytes": 40_960,
        "oldest_seconds": 60.0,
        "results": {"hit": 1, "stored": 0, "collapsed": 0, "stale": 0, "bypass": 0},
        "saved": {"calls": 1, "tokens_in": 1_000_000, "tokens_out": 0, "usd": 2.5, "unpriced_calls": 0},
        "contents": [
            {"provider": "openai", "endpoint": "chat.completions", "model": "bad?", "rule": "mine", "key": "", "entries": 2, "size_bytes": 2_500},
            {"provider": "openai", "endpoint": "embeddings", "model": "text-embedding-3-small", "rule": "embeddings", "key": "ab12cd34", "entries": 1, "size_bytes": 500},
        ],
        "rules": [
            {"name": "embeddings", "provider": "*", "endpoint": "embeddings", "model": "*", "system_sha256": [], "header": ["x-tenant"], "match": ["temperature"], "ttl_seconds": 3_600.0, "shared": False},
        ],
        "suggestions": [],
    }  # fmt: skip
    (suggestion,) = document["suggestions"]
    assert suggestion.pop("rule").startswith("[[cache.rules]]\n")
    assert suggestion == {
        "provider": "openai", "endpoint": "chat.completions", "model": "gpt-4o", "system_sha256": SYSTEM, "seen": 3,
        "prompts": 1, "size_bytes": 1_000, "calls": 2, "tokens_in": 200, "tokens_out": 20, "usd": pytest.approx(0.0007),
        "varied": False,
    }  # fmt: skip
    assert "s3cret" not in json.dumps(document)


async def test_a_store_that_cannot_be_used_now_leaves_the_rest_to_be_told() -> None:
    shelf = MadeShelf(degraded="the disk is full")
    shelf.counts.note("hit", ABOUT, 1, 1)
    document = await view(shelf)
    assert (document["entries"], document["contents"], document["oldest_seconds"]) == (None, [], None)
    assert (document["degraded"], document["saved"]["calls"]) == ("the disk is full", 1)


async def test_a_clock_that_went_back_makes_nothing_younger_than_now() -> None:
    assert (await view(MadeShelf(HELD), wall=lambda: 0.0))["oldest_seconds"] == 0.0


@pytest.mark.parametrize(
    ("rule", "still_suggested"),
    [
        (made_rule(endpoint="chat.completions"), False),
        (made_rule(endpoint="*", model="gpt-4*"), False),
        (made_rule(endpoint="*", provider="openai", system_sha256=("00" * 32, SYSTEM)), False),
        (made_rule(), True),
        (made_rule(endpoint="*", provider="anthropic"), True),
        (made_rule(endpoint="*", model="o3*"), True),
        (made_rule(endpoint="*", system_sha256=("00" * 32,)), True),
        (made_rule(endpoint="chat.completions", match=(("temperature", 0),)), True),
        (made_rule(endpoint="chat.completions", header=((b"x-app", "batch"),)), True),
    ],
)
def test_what_a_rule_covers_is_suggested_no_more(rule: CacheRule, still_suggested: bool) -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0)
    assert bool(suggestions_view(repeats, (rule,))) == still_suggested


@pytest.mark.parametrize(
    ("model", "system"),
    [
        ("gpt-4o", SYSTEM),
        ("gpt-4o", ""),
        ("", ""),
        ('we"ird\\ [*] 模型 \U0001f600', SYSTEM),
        ("accounts/x/models/y", ""),
    ],
)
def test_the_rule_is_toml_that_means_exactly_this_kind(model: str, system: str) -> None:
    repeats = Repeats()
    about = Label(provider="openai", endpoint="chat.completions", model=model)
    see(repeats, "a", 0.0, 60.0, 120.0, about=about, system=system)
    (one,) = repeats.suggestions()
    (rule,) = tomllib.loads(rule_text(one))["cache"]["rules"]
    assert rule.pop("name").startswith("static-")
    expected: dict[str, Any] = {"provider": "openai", "endpoint": "chat.completions", "ttl_seconds": 3_600}
    if model:
        expected["model"] = model.replace("[", "[[]").replace("*", "[*]")
    if system:
        expected["system_sha256"] = [system]
    assert rule == expected
    loaded = made_rule(**rule | {"system_sha256": tuple(rule.get("system_sha256", ()))})
    assert suggestions_view(repeats, (loaded,)) == [], "and with it, it is suggested no more"


def test_kinds_that_differ_have_rules_of_different_names() -> None:
    repeats = Repeats()
    for system in ("", SYSTEM):
        see(repeats, system, 0.0, 60.0, 120.0, system=system)
    names = {rule_text(one).splitlines()[1] for one in repeats.suggestions()}
    assert len(names) == 2


def test_tokens_that_nobody_told_cost_nobody_knows_what() -> None:
    repeats = Repeats()
    see(repeats, "a", 0.0, 60.0, 120.0, tokens=(None, None))
    (one,) = suggestions_view(repeats)
    assert (one["usd"], one["calls"]) == (None, 2)


def test_the_file_holds_all_that_can_be_kept(tmp_path: Any) -> None:
    repeats = Repeats()
    for number in range(PROMPTS_MAX + GROUP_PROMPTS_MAX):
        about = Label(provider="p" * 200, endpoint="e" * 200, model="m" * 200)
        see(repeats, number, 1.7e9 + number, about=about, system=f"{number % 2_500:064x}")
    path = tmp_path / "repeats.json"
    write(path, repeats.document())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size < FILE_BYTES_MAX
    again = Repeats()
    assert again.restore(read(path))
    assert again.document() == repeats.document()


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 100_000, b"0" * (FILE_BYTES_MAX + 1)])
def test_a_file_that_is_damaged_or_missing_is_no_document(tmp_path: Any, content: bytes | None) -> None:
    path = tmp_path / "repeats.json"
    if content is not None:
        path.write_bytes(content)
    assert read(path) is None


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Any) -> None:
    path = tmp_path / "repeats.json"
    write(path, Repeats().document())
    assert read(path) is not None
    path.chmod(0o666)
    assert read(path) is None


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Any) -> None:
    with pytest.raises(StateError):
        write(tmp_path / "missing" / "repeats.json", {})
