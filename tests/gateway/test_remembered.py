"""What the gate has learned, over a restart: in a real directory, with clocks that jump."""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from gateway import remembered
from gateway.limit.gate import Gate, LimitRule
from gateway.remembered import SAVE_SECONDS, Remembered
from tests.gateway.factories import EPOCH, HandClock
from tests.gateway.limit.asking import ROUTE, answered, permitted, refusal, stated, states
from tests.gateway.limit.timed import TimedLoop, timed

RULES = (LimitRule(per_minute=5), LimitRule(tokens_per_day=10_000))
AS_ROOT = os.geteuid() == 0


class Clock(HandClock):
    """Two clocks that are moved one by one."""

    def __init__(self, monotonic: float = 1000.0, wall: float = EPOCH) -> None:
        super().__init__()
        self.seconds, self.walls = monotonic, wall

    def wall(self) -> float:
        return self.walls


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.json"


@pytest.fixture(autouse=True)
def boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "boot_id"
    file.write_text("boot-1\n")
    monkeypatch.setattr(remembered, "_BOOT_ID", file)
    return file


def _gate(clock: Any) -> Gate:
    return Gate(RULES, clock, queue_max=10, queue_max_bytes=1_000)


def _saved(path: Path, *, clock: Clock, calls: int = 3) -> None:
    async def main() -> None:
        gate = _gate(clock)
        for _ in range(calls - 1):
            await answered(gate)
        await answered(gate, states(stated(100, 40, 36.0)))
        Remembered(path, gate, clock).save()

    asyncio.run(main())


def _loaded(path: Path, *, clock: Clock) -> Gate:
    gate = _gate(clock)
    Remembered(path, gate, clock).load()
    return gate


def _left(gate: Gate, clock: Clock) -> float:
    """Give what is left of five a minute."""
    (scope,) = gate.scopes.values()
    return scope.configured[0].meter.level(clock.now())


def test_what_was_counted_and_learned_is_there_again_after_a_restart(path: Path) -> None:
    _saved(path, clock=Clock())
    clock = Clock(1000.5)
    gate = _loaded(path, clock=clock)
    assert _left(gate, clock) == 2
    (scope,) = gate.scopes.values()
    (learned,) = scope.learned.values()
    assert (learned.kind, learned.remembered) == ("requests", True)
    assert learned.meter is not None
    assert learned.meter.limit == 100
    assert learned.meter.level(clock.now()) == pytest.approx(40.8, abs=1)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_pause_holds_on_over_a_restart_for_what_is_left_of_it(path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        gate = _gate(clock)
        await answered(gate, refusal(30))
        Remembered(path, gate, clock).save()

    asyncio.run(main())
    clock = Clock(1010.0)
    (scope,) = _loaded(path, clock=clock).scopes.values()
    assert scope.paused_until == pytest.approx(1030)


def test_what_was_loaded_and_saved_again_is_the_same(path: Path) -> None:
    _saved(path, clock=Clock())
    before = json.loads(path.read_bytes())
    clock = Clock()
    gate = _gate(clock)
    keeper = Remembered(path, gate, clock)
    keeper.load()
    keeper.save()
    after = json.loads(path.read_bytes())
    assert after["saved"] == before["saved"]
    assert after["scopes"][0]["configured"] == before["scopes"][0]["configured"]
    assert after["accounts"] == before["accounts"]


@pytest.mark.parametrize("jump", [-3_600.0, 3_600.0, -1e9, 1e9])
def test_while_the_machine_is_up_a_jump_of_the_wall_clock_changes_nothing(path: Path, jump: float) -> None:
    _saved(path, clock=Clock())
    clock = Clock(1020.0, EPOCH + jump)
    gate = _loaded(path, clock=clock)
    assert _left(gate, clock) == 2
    clock.seconds = 1061.0
    assert _left(gate, clock) == 5


@pytest.mark.parametrize(("passed", "left"), [(0.0, 2), (30.0, 2), (61.0, 5), (-3_600.0, 2)])
def test_after_a_reboot_the_wall_clock_tells_and_one_that_went_back_counts_as_no_time(
    path: Path, boot: Path, passed: float, left: int
) -> None:
    _saved(path, clock=Clock(500_000.0))
    boot.write_text("boot-2")
    clock = Clock(5.0, EPOCH + passed)
    gate = _loaded(path, clock=clock)
    assert _left(gate, clock) == left


def test_where_the_system_names_no_boot_the_wall_clock_tells(path: Path, boot: Path) -> None:
    boot.unlink()
    _saved(path, clock=Clock())
    clock = Clock(1_000.0, EPOCH + 61)
    assert _left(_loaded(path, clock=clock), clock) == 5


def test_a_monotonic_clock_that_stands_before_the_saved_one_is_not_believed(path: Path) -> None:
    _saved(path, clock=Clock(5_000.0))
    clock = Clock(10.0, EPOCH + 61)
    assert _left(_loaded(path, clock=clock), clock) == 5


def test_a_missing_file_is_no_news(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not _loaded(path, clock=Clock()).scopes
    assert not caplog.records


DAMAGED = {
    "empty": b"",
    "cut": b'{"version":1,"sco',
    "binary": bytes(range(256)),
    "list": b"[]",
    "null": b"null",
    "number": b"7",
    "no moment": b'{"version":1,"scopes":[]}',
    "moment is a list": b'{"version":1,"saved":[]}',
    "moment is empty": b'{"version":1,"saved":{}}',
    "moment in words": b'{"version":1,"saved":{"boot":"x","monotonic":"now","wall":"later"}}',
    "moment in words of this boot": b'{"version":1,"saved":{"boot":"boot-1","monotonic":"now","wall":"later"}}',
    "moment is huge": b'{"version":1,"saved":{"boot":"x","monotonic":1,"wall":' + b"9" * 400 + b"}}",
    "too deep": b"[" * 100_000,
    "too many digits": b"9" * 5_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_a_warning_and_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    path.write_bytes(data)
    path.chmod(0o600)
    assert not _loaded(path, clock=Clock()).scopes
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(path) in record.getMessage()
    assert "limits are learned anew" in record.getMessage()
    assert path.read_bytes() == data, "it is left as it is until something is saved"


_SCOPE = {"provider": "openai", "account": "a", "model": "gpt-5", "limits": [], "configured": []}
_LIMIT = {"kind": "requests", "limit": 10, "window_seconds": 60.0, "said_seconds_ago": 1.0, "left": 3, "capacity": 10}


@pytest.mark.parametrize(
    "change",
    [{"window_seconds": 0}, {"window_seconds": -1}, {"limit": 0}, {"limit": 10**400}, {"limit": "ten"}, {"left": None}, {"kind": None}],
    ids=str,
)  # fmt: skip
def test_numbers_that_make_no_limit_stop_nothing(path: Path, change: dict[str, Any]) -> None:
    good = {**_SCOPE, "account": "good", "limits": [_LIMIT]}
    bad = {**_SCOPE, "account": "bad", "limits": [_LIMIT | change]}
    saved = {"boot": "boot-1", "monotonic": 990.0, "wall": EPOCH}
    path.write_text(json.dumps({"version": 1, "accounts": [], "scopes": [good, bad], "saved": saved}))
    path.chmod(0o600)
    gate = _loaded(path, clock=Clock())
    (kept,) = [scope for key, scope in gate.scopes.items() if key.account == "good"]
    assert list(kept.learned) == ["requests"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666])
def test_a_file_that_others_may_read_is_not_believed(path: Path, caplog: pytest.LogCaptureFixture, mode: int) -> None:
    _saved(path, clock=Clock())
    path.chmod(mode)
    assert not _loaded(path, clock=Clock()).scopes
    assert f"chmod 600 {path}" in caplog.text


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a file away; run as root")
def test_a_file_of_another_user_is_not_believed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _saved(path, clock=Clock())
    os.chown(path, 12_345, 12_345)
    assert not _loaded(path, clock=Clock()).scopes
    assert "belongs to another user (uid 12345)" in caplog.text


def test_a_link_is_not_followed(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _saved(tmp_path / "elsewhere.json", clock=Clock())
    path.symlink_to(tmp_path / "elsewhere.json")
    assert not _loaded(path, clock=Clock()).scopes
    assert "symbolic link" in caplog.text


def test_a_directory_in_its_place_stops_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir(mode=0o700)
    assert not _loaded(path, clock=Clock()).scopes
    assert len(caplog.records) == 1


def test_a_disk_that_cannot_be_written_is_one_warning_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keeper = Remembered(tmp_path / "gone" / "limits.json", _gate(clock), clock)
    for _ in range(3):
        keeper.save()
    (record,) = caplog.records
    assert "what is learned of limits is lost with the next restart" in record.getMessage()


def test_a_save_that_fails_leaves_the_file_of_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _saved(path, clock=Clock())
    before = path.read_bytes()

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    _saved(path, clock=Clock(2_000.0))
    assert path.read_bytes() == before


def test_saving_leaves_nothing_beside_the_file(path: Path, tmp_path: Path) -> None:
    for _ in range(3):
        _saved(path, clock=Clock())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["boot_id", "limits.json"]


# once a second


def _saves(monkeypatch: pytest.MonkeyPatch, keeper: Remembered, loop: TimedLoop) -> list[float]:
    """Note when something is written. A thread would take real time, in which ours does not move."""
    found: list[float] = []

    async def at_once(write: Any, document: Any) -> None:
        assert write == keeper._write
        found.append(loop.now() - 1000)
        write(document)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    return found


def test_it_is_saved_once_a_second_while_calls_come_and_then_no_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(loop: TimedLoop) -> list[float]:
        gate = _gate(loop)
        keeper = Remembered(path, gate, loop)
        saves = _saves(monkeypatch, keeper, loop)
        running = asyncio.ensure_future(keeper.run())
        await asyncio.sleep(10.25)
        for _ in range(5):
            permit = await permitted(gate)
            permit.release()
            await asyncio.sleep(0.3)
        await asyncio.sleep(100)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return saves

    saves = timed(main)
    assert saves == pytest.approx([11, 12], abs=0.01), (
        "nothing before a call, one save a second, nothing after the last"
    )
    assert len(json.loads(path.read_bytes())["scopes"]) == 1


def test_what_came_at_the_very_end_is_saved_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop)
        keeper = Remembered(path, gate, loop)
        _saves(monkeypatch, keeper, loop)
        running = asyncio.ensure_future(keeper.run())
        await asyncio.sleep(0.5)
        permit = await permitted(gate)
        await asyncio.sleep(50)
        permit.answered(states(stated(100, 40, 36.0)))
        permit.release()
        await asyncio.sleep(SAVE_SECONDS + 0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    timed(main)
    (scope,) = json.loads(path.read_bytes())["scopes"]
    assert [limit["kind"] for limit in scope["limits"]] == ["requests"]


def test_what_is_learned_of_a_long_answer_is_saved_while_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop)
        keeper = Remembered(path, gate, loop)
        _saves(monkeypatch, keeper, loop)
        running = asyncio.ensure_future(keeper.run())
        permit = await permitted(gate)
        await asyncio.sleep(5.5)
        permit.answered(states(stated(100, 40, 36.0)))
        await asyncio.sleep(30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    timed(main)
    (scope,) = json.loads(path.read_bytes())["scopes"]
    assert [limit["kind"] for limit in scope["limits"]] == ["requests"]


def test_what_is_written_in_a_thread_is_what_a_gate_can_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SAVE_SECONDS", 0.0)

    async def main() -> None:
        clock = Clock()
        gate = _gate(clock)
        keeper = Remembered(path, gate, clock)
        running = asyncio.ensure_future(keeper.run())
        await answered(gate, route=ROUTE)
        while not os.access(path, os.R_OK):  # noqa: ASYNC110 - another thread makes it
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    clock = Clock()
    assert _left(_loaded(path, clock=clock), clock) == 4
