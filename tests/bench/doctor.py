"""How long the doctor takes, in the simulated internet: all well, one thing wrong, every packet dropped, no network.

Run: ``uv run python -m tests.bench.doctor`` (root, Linux)
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.network import faults, http_faults
from tests.network.faults import Pieces
from tests.network.network import Network
from tests.network.scenarios.chatgpt import NAMES

RUNS = 3
KEY = {"OPENAI_API_KEY": "sk-good-0123456789abcdef"}
WORLDS: dict[str, tuple[tuple[Pieces, ...], dict[str, Any], tuple[str, ...]]] = {
    "all is well": ((), {}, ()),
    "all is well, --chatgpt": ((), {"hosts": NAMES}, ("--chatgpt",)),
    "a filter leads the name to its page": ((http_faults.sunk("api.openai.com", "umbrella"),), {}, ()),
    "connections die by name": ((faults.reset_at_hello("api.openai.com"),), {}, ()),
    "large requests are lost": ((faults.mtu_hole("api.openai.com"),), {}, ()),
    "every packet is dropped": ((faults.silence("*"),), {}, ()),
    "every packet is dropped, --chatgpt": ((faults.silence("*"),), {"hosts": NAMES}, ("--chatgpt",)),
    "no network": ((), {"offline": True}, ()),
}


def main() -> None:
    """Print the median and the longest of a few runs each."""
    print(f"{'':38}{'measuring':>22}{'the command':>22}  most likely")
    for name, (pieces, more, words) in WORLDS.items():
        took, whole, cause = [], [], ""
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as directory, Network(Path(directory), *pieces, **more) as network:
                began = time.perf_counter()
                done = network.run([sys.executable, "-m", "gateway", "doctor", "--json", *words], env=KEY)
                whole.append(time.perf_counter() - began)
            report = json.loads(done.stdout)
            took.append(report["took_ms"] / 1000)
            cause = (report["most_likely"] or {}).get("cause") or "-"
        shown = (f"{statistics.median(one):.2f} s, {max(one):.2f} s" for one in (took, whole))
        print(f"{name:38}{next(shown):>22}{next(shown):>22}  {cause}")


if __name__ == "__main__":
    main()
