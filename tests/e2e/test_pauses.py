"""The collector of Python's garbage stops everything; what is there from the start on is not looked at again."""

import json
from pathlib import Path

from tests.running import GatewayProcess, config_for

MEASURED_AT_THE_END = """
import atexit, gc, json, os, sys, time


def seconds():
    began = time.perf_counter()
    gc.collect()
    return time.perf_counter() - began


def measure():
    frozen, usual = gc.get_freeze_count(), seconds()
    gc.unfreeze()
    with open(os.environ["PAUSES"], "w") as file:
        json.dump({"frozen": frozen, "usual": usual, "whole": seconds()}, file)


if "start" in sys.orig_argv:
    atexit.register(measure)
"""


def test_once_it_is_ready_no_collection_looks_at_all_that_was_loaded(tmp_path: Path) -> None:
    """One that does takes around 100 ms, in which every call waits. Both are measured in the same process."""
    (tmp_path / "sitecustomize.py").write_text(MEASURED_AT_THE_END)
    pauses = tmp_path / "pauses.json"
    env = {"PYTHONPATH": str(tmp_path), "PAUSES": str(pauses)}
    gateway = GatewayProcess(tmp_path / "gateway", config_for(9), env=env)
    assert gateway.stop() == 0
    seen = json.loads(pauses.read_text())
    print(f"all: {seen['whole'] * 1000:.0f} ms, without what was there at the start: {seen['usual'] * 1000:.0f} ms")
    assert seen["frozen"] > 50_000
    assert seen["usual"] < seen["whole"] / 2
