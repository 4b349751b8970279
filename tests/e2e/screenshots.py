"""Takes the pictures of README from a gateway that runs, with calls that fail in different ways.

Run: ``uv run python -m tests.e2e.screenshots [DIRECTORY]`` (default: docs; needs Debian's ``chromium-driver``)
"""

import sys
import tempfile
from pathlib import Path

from tests.e2e.world import World, job, new_key, new_world
from tests.gateway.show.browser import Browser, open_browser

LIMITS = """
[[limits.rules]]
provider = "openai"
model = "gpt-5"
rpm = 60
"""
FAILURES = (
    "quota.exhausted", "rate_limit.tokens", "auth.invalid_key", "service.server_error", "request.context_length",
    "service.overloaded", "request.model_not_found",
)  # fmt: skip


def calls(world: World) -> None:
    """Make calls as a day brings them: most are good, some are not, some come again."""
    key, other_key = new_key(), new_key("anthropic")
    good = [job("chat", f"question {number}", model="gpt-5-mini", key=key) for number in range(14)]
    again = [job("chat", "the same text", model="gpt-5-mini", key=key) for _ in range(4)]
    streams = [job("chat", "tell me a story " * 8, model="gpt-5", stream=True, key=key) for _ in range(5)]
    other = [job("messages", f"question {number}", key=other_key) for number in range(6)]
    world.proxied.ask([*good[:2]])
    world.proxied.ask([*good[2:], *streams, *other])
    world.proxied.ask(again, together=False)
    patience = {"x-whygate-timeout-ms": "1500"}
    bad = [job("chat", "x", model=f"simulate:{cause}", max_retries=0, headers=patience, key=key) for cause in FAILURES]
    world.proxied.ask(bad)
    world.proxied.ask([job("chat", "and once more", model="gpt-5-mini", key=key) for _ in range(3)])


def pictures(browser: Browser, world: World, directory: Path) -> None:
    """Take them: the list, one call, and the list in the dark."""
    runtime = world.gateway.runtime
    link = f"http://{runtime['page']}/?token={runtime['token']}"
    for name, dark, opened in (("page", False, False), ("page-dark", True, False), ("call", False, True)):
        browser.look_like(width=1280, height=900, dark=dark)
        browser.go(link)
        browser.wait("document.querySelectorAll('tbody.flow').length > 6")
        browser.wait("document.querySelector('.card.apps li')")
        if opened:
            row = (
                "[...document.querySelectorAll('tbody.flow')].find((one) => one.innerText.includes('quota.exhausted'))"
            )
            browser.wait(f"{row}")
            browser.run(f"{row}.querySelector('button').click()")
            browser.wait("document.querySelector('#drawer').innerText.includes('Facts')")
        (directory / f"{name}.png").write_bytes(browser.screenshot())
        print(directory / f"{name}.png")


def main() -> None:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as state, new_world(Path(state), LIMITS) as world, open_browser() as browser:
        calls(world)
        pictures(browser, world, directory)


if __name__ == "__main__":
    main()
