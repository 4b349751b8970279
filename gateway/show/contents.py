"""The first text of a bundle: what is in it, what is not, and whom to send what. Renders; writes nothing."""

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any

_WIDTH = 96
_FILES: Mapping[str, str] = {
    "verdicts.txt": "Each failed call in full: why it failed, who can fix it, what to do, what was seen. Begin here.",
    "timeline.txt": "All calls in the order in which they came, with every try of the failed ones.",
    "for-provider-support.txt": "Ready to send to the provider: times, request ids, status, what was ruled out.",
    "for-company-it.txt": "Ready to send to your IT department: hosts, products and certificates on the way.",
    "flows.har": "The calls as HAR 1.2: the network panel of Chrome or Firefox opens it; `whygate explain` reads it.",
    "flows.jsonl": "The calls as whygate's log has them, one JSON object a line.",
    "environment.json": "System, versions, the SDKs that called, and the names (not the values) of proxy variables.",
    "doctor.json": "What the last `whygate doctor` found.",
    "reproduce/": "The newest failed calls as commands of curl and programs in Python, without key and prompt.",
    "manifest.json": "Size and SHA-256 of every file, and what was taken out.",
}


def contents(files: Iterable[str], about: Mapping[str, Any]) -> str:
    """Give the text.

    Args:
        files: The names of what else is in the bundle.
        about: What its manifest says of all files: ``made_at``, ``whygate``, ``calls``, ``failed``, ``bodies``,
            ``removed`` and ``left_out``.
    """
    there = {name.partition("/")[0] + "/" if "/" in name else name for name in files}
    lines = ["A bundle of whygate", "===================", ""]
    lines.append(f"Made {about['made_at']} by whygate {about['whygate']}.")
    lines.append(f"{about['calls']} calls, {about['failed']} of them failed; the others came shortly before.")
    lines += ["", "What is in it", "-------------"]
    for name, told in _FILES.items():
        if name in there or name == "manifest.json":
            first, *rest = wrap(told, _WIDTH - 28)
            lines += [f"  {name:<26}{first}", *(" " * 28 + line for line in rest)]
    lines += ["", "What is not", "-----------"]
    bodies = (
        "What the log kept of prompts and answers is in it: the starts of failed answers, which may quote a prompt, and"
        " all that was captured."
        if about["bodies"]
        else "No prompt and no answer: of what the log had kept there is only the length and the SHA-256."
    )
    for told in (
        "No key, token, cookie or other credential: the log never had one, and every file was searched for them.",
        bodies,
        "The words of a provider's error message are kept in verdicts, and may quote a prompt.",
        "Your home directory and your user name became ~.",
    ):
        lines += [f"  {'- ' if not number else '  '}{line}" for number, line in enumerate(wrap(told, _WIDTH - 4))]
    removed = [f"{count} x {kind}" for kind, count in about["removed"].items() if count]
    if removed:
        lines += ["", f"Taken out: {', '.join(removed)}."]
    lines += [f"Left out: {told}" for told in about["left_out"]]
    lines += ["", "Look through it before you send it: you know best what must not leave your house."]
    return "\n".join(lines) + "\n"
