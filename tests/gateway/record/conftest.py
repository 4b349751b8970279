"""A recorder on a real file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.record.recorder import Recorder
from tests.gateway.record.made import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flows.db"


@pytest.fixture
def recorder(path: Path, clock: HandClock) -> Iterator[Recorder]:
    recorder = Recorder(path, clock)
    recorder.start()
    yield recorder
    recorder.close()
