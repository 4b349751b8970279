"""What the page costs: the gateway under 50 calls a second with five pages open, beside the same with none.

Run: ``uv run python -m tests.bench.page`` (needs Debian's ``nginx``, ``hey``, ``chromium`` and ``chromium-driver``)

Also: the time to the first paint with a log of so many calls, and how many rows a second a page takes in.
"""

import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.bench.peers import gateway, hey, need, nginx
from tests.bench.requests import show
from tests.gateway.record.made import HandClock, a_row, until
from tests.gateway.show.browser import open_browser
from tests.gateway.show.served import serve_page

PAGES = 5
STEADY = {"calls": 1_000, "workers": 4, "rate": 50.0}
ROWS, PER_SECOND, SECONDS = 95_000, 200, 10
"""The page keeps 100,000 calls; further ones push the oldest out."""
COUNTED = "Number(document.querySelector('#counters .all b')?.textContent.replace(/\\D/g, '') ?? 0)"
PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
LONG_TASKS = """
  window.frames = []; let last = performance.now();
  const look = (now) => { window.frames.push(now - last); last = now; requestAnimationFrame(look); };
  requestAnimationFrame(look);
"""


def pages(directory: Path) -> None:
    """Compare the same steady load without a page and with five."""
    with nginx(directory) as (port, ca):
        ours = gateway(directory / "ours", port, ca)
        process = psutil.Process(ours.process.pid)
        target = f"https://localhost:{port}/v1/chat/completions"
        try:
            hey(target, ours.proxy, calls=500, workers=8, process=process)
            show("no page, 50 calls/s", hey(target, ours.proxy, process=process, **STEADY))  # type: ignore[arg-type]
            with ExitStack() as stack:
                link = f"http://{ours.runtime['page']}/?token={ours.runtime['token']}"
                browser = stack.enter_context(open_browser())
                browser.go(link)
                for _ in range(PAGES - 1):
                    browser.run("window.open(arguments[0])", link)
                threading.Event().wait(3)
                show(f"{PAGES} pages, 50 calls/s", hey(target, ours.proxy, process=process, **STEADY))  # type: ignore[arg-type]
        finally:
            ours.stop()


def long_log(directory: Path) -> None:
    """Paint a long log, scroll through it, and take in a fast stream of calls."""
    with serve_page(directory / "flows.db", HandClock()) as served, open_browser() as browser:
        for at in range(0, ROWS, 5_000):
            for seq in range(at + 1, at + 5_001):
                served.recorder.recorded(a_row(seq, cause="rate_limit.tokens" if seq % 9 == 0 else None))
            until(lambda at=at: served.recorder.health()["written"] >= at + 5_000, 60)  # type: ignore[misc]
        browser.look_like(width=1280)
        browser.go(served.link)
        browser.wait("document.querySelector('tbody.flow')")
        print(f"{'first paint, ' + format(ROWS, ',') + ' calls kept':34} {browser.run(PAINT):9.0f} ms")
        began = time.monotonic()
        while browser.run(f"return {COUNTED}") < ROWS:
            browser.run("scrollTo(0, document.documentElement.scrollHeight)")
            assert time.monotonic() - began < 300, browser.run(f"return {COUNTED}")
        print(f"{'scrolled down to the oldest':34} {time.monotonic() - began:9.1f} s")
        memory = browser.run("return performance.memory.usedJSHeapSize") / 2**20
        print(
            f"{'memory of the page':34} {memory:9.0f} MiB, {browser.run('return document.querySelectorAll(`tbody.flow`).length')} rows drawn"
        )
        browser.run("scrollTo(0, 0)")
        browser.run(LONG_TASKS)
        before, began = browser.run(f"return {COUNTED}"), time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            served.recorder.recorded(a_row(ROWS + 1 + number, cause="rate_limit.tokens" if number % 9 == 0 else None))
            threading.Event().wait(max(0.0, began + number / PER_SECOND - time.monotonic()))
        frames = sorted(browser.run("return window.frames"))
        taken = browser.run(f"return {COUNTED}") - before
        print(f"{'taken in while watching':34} {taken / (time.monotonic() - began):9.0f} rows/s of {PER_SECOND}")
        print(
            f"{'frames':34} p50 {frames[len(frames) // 2]:.0f} ms, p99 {frames[int(len(frames) * 0.99)]:.0f} ms, longest {frames[-1]:.0f} ms"
        )


def main() -> None:
    need("nginx", "hey", "chromium", "chromedriver")
    with tempfile.TemporaryDirectory() as directory:
        pages(Path(directory))
        long_log(Path(directory))


if __name__ == "__main__":
    main()
