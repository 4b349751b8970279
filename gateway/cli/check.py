"""``whygate run --check``: whether calls of a program would come through the gateway, asked in its own runtime."""

import secrets
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.canary.reading import PAST, REACHED, UNTRUSTED, URL, Asked, document_in, one_line, read
from gateway.canary.runtimes import Canary, canary_for
from gateway.cli.screen import UserError

_RUN_SECONDS = 120.0
_WIDTH = 20
_COLUMNS = 80
_WHOLE: Mapping[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
_NODE = "Node.js reads proxy variables from 22.21 and 24.0 on, its https module from 24.5 on. Update it."
_ADVICE: Mapping[tuple[str, str, str], str] = {
    ("node", "fetch", PAST): _NODE,
    ("node", "node:https", PAST): _NODE,
    ("python", "aiohttp", PAST): "aiohttp reads proxy variables only with ClientSession(trust_env=True).",
    ("php", "streams", PAST): "PHP streams read no proxy variables. Use curl.",
}
"""Runtime, means, verdict by proxy -> what to do."""

_TRUST = "No trust: a proxy was reached whose certificate is not accepted. Add that of whygate: "


def check(command: Sequence[str], env: Mapping[str, str], base_url: str, certificate: Path, url: str = URL) -> int:
    """Run a canary in the place of ``command``, and print what it found.

    Args:
        env: What the command would have.
        base_url: A base URL that it would have, or nothing.
        certificate: Our authority's, for what does not trust it.
        url: What is asked by proxy.

    Returns:
        The exit code: 0 when every means of calling can come through the gateway, else 1.

    Raises:
        UserError: There is no canary for this command, or it could not run.
    """
    canary = canary_for(command, env)
    if canary is None:
        what = f"It cannot be told what {command[0]} makes its calls with"
        fix = "Name the interpreter that makes them: whygate run --check -- python   (node, deno, bun, ruby, php, ...)"
        raise UserError(what, "", fix)
    token = secrets.token_urlsafe(12)
    document = _ask(canary, canary.command(token, url, base_url), env)
    asked = read(document, token)
    print("\n".join(_report(canary, str(document["whygate_canary"]), asked, certificate)))
    return 0 if asked and all(one.reached for one in asked) else 1


def _ask(canary: Canary, command: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    said, why = "", ""
    try:
        done = subprocess.run(  # noqa: S603  (the user's own runtime, with a program of ours)
            command, env=dict(env), capture_output=True, timeout=_RUN_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
        said, why = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    except OSError as exc:
        why = str(exc.strerror)
    except subprocess.TimeoutExpired:
        why = f"It did not end within {_RUN_SECONDS:.0f} s"
    document = document_in(said)
    if document is not None:
        return document
    lines = [line for line in why.splitlines() if line.strip()] or ["It said nothing"]
    told = one_line(next((line for line in lines if "error" in line.lower()), lines[-1]))
    raise UserError(
        f"The check could not run in {canary.program}", told, "Run the command itself, and look at its calls."
    )


def _report(canary: Canary, version: str, asked: Sequence[Asked], certificate: Path) -> list[str]:
    lines = [f"Checked {one_line(version)} ({canary.program}).", "", f"  {'':<{_WIDTH}}{'by proxy':<12}by base URL"]
    lines += [f"  {one.name:<{_WIDTH}}{one.by_proxy:<12}{one.by_base_url}" for one in asked]
    steps = [detail for one in asked for detail in one.details]
    advice = (_ADVICE.get((canary.runtime, one.name, one.by_proxy)) for one in asked)
    steps += [step for step in advice if step]
    if any(UNTRUSTED in {one.by_proxy, one.by_base_url} for one in asked):
        steps.append(f"{_TRUST}{certificate}")
    wrapped = (textwrap.fill(step, _COLUMNS, initial_indent="  ", subsequent_indent="    ", **_WHOLE) for step in steps)
    return [*lines, "", *dict.fromkeys(wrapped), *([""] if steps else []), _conclusion(asked)]


def _conclusion(asked: Sequence[Asked]) -> str:
    if missed := [one.name for one in asked if not one.reached]:
        return f"Calls by {', '.join(missed)} would go past the gateway."
    if half := [one.name for one in asked if one.by_proxy != REACHED]:
        # The official SDKs read it by themselves.
        return f"Calls come through; those by {', '.join(half)} only with the base URL."
    return "Calls come through the gateway."
