"""Which runtime a command runs in, and how a canary is put in the command's place. Looks at files."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CANARIES = Path(__file__).parent / "programs"
_NAMES = {
    "python": "python", "pypy": "python", "node": "node", "nodejs": "node", "tsx": "node", "ts-node": "node",
    "npx": "node", "npm": "node", "pnpm": "node", "yarn": "node", "deno": "deno", "bun": "bun", "bunx": "bun",
    "ruby": "ruby", "php": "php", "java": "java", "go": "go", "curl": "curl",
}  # fmt: skip
"""Name of a program without its version -> the runtime that it is or starts."""

_READ_PROXIES = frozenset({"python", "go", "java", "ruby", "curl", "bun", "deno"})
"""Those whose usual clients take the proxy that is named in the environment (``tests/e2e/runtimes`` proves it)."""

_PROGRAMS = {"npx", "npm", "pnpm", "yarn", "tsx", "ts-node", "bunx"}
"""Those that start a runtime which is found on PATH."""

_RUNNERS = {"uv": "run", "poetry": "run", "pipenv": "run", "pdm": "run", "rye": "run"}
_TRANSPARENT = frozenset({"env", "nohup", "time", "nice", "exec", "command"})
_TAKES_VALUE = frozenset({
    "--with", "--with-editable", "--with-requirements", "--python", "-p", "--project", "--directory", "--extra",
    "--group", "--only-group", "--no-group", "--env-file", "--package", "--index", "--default-index", "--index-url",
    "--extra-index-url", "--find-links", "--config-file", "--cache-dir", "-C", "-P",
})  # fmt: skip
_NAMES_THE_PROGRAM = frozenset({"-m", "--module", "-s", "--script", "--gui-script", "--"})
_NODE_VALUE = frozenset({"-r", "--require", "--import", "--loader", "--experimental-loader", "--env-file"})
_SHEBANG = re.compile(rb"#!\s*(\S+)(?:[ \t]+(?:-S[ \t]+)?(\S+))?")
_VERSION = re.compile(r"[\d.]+(?:t)?$")


@dataclass(frozen=True, slots=True)
class Canary:
    """What to run instead of a command.

    Attributes:
        runtime: ``python``, ``node``, ... as in `_NAMES`.
        program: What stands for it, for people.
        before: The words of the command up to the canary's own arguments.
    """

    runtime: str
    program: str
    before: tuple[str, ...]

    def command(self, token: str, url: str, base_url: str) -> list[str]:
        """Give the command that asks ``url``, and ``base_url`` when there is one."""
        return [*self.before, token, url, base_url]


def canary_for(command: Sequence[str], env: Mapping[str, str]) -> Canary | None:
    """Give the canary that runs in the runtime of a command, None when its runtime is not recognised."""
    prefix, words = _without_wrappers(list(command))
    path = env.get("PATH")
    runner = Path(words[0]).name if words else ""
    if _RUNNERS.get(runner) == next(iter(words[1:]), ""):
        kept, rest = _split_runner(words)
        inner = _name(rest[0]) if rest else ""
        runtime = _NAMES.get(inner, "python")
        # A runner's own interpreter: a name alone, found by the runner.
        program = rest[0] if inner in _NAMES and inner not in _PROGRAMS else runtime
        return Canary(runtime, f"{' '.join(kept)} {program}", (*prefix, *kept, *_placed(runtime, program, rest[1:])))
    found = shutil.which(words[0], path=path) if words else None
    if found is None:
        return None
    runtime, program = _NAMES.get(_name(found), ""), found
    if _name(found) in _PROGRAMS:
        program = shutil.which(runtime, path=path) or ""
    elif not runtime:
        program = _interpreter(Path(found), path)
        runtime = _NAMES.get(_name(program), "")
    if not runtime or not program:
        return None
    options = words[1:] if program == found else []
    return Canary(runtime, program, (*prefix, *_placed(runtime, program, options)))


def reads_proxies(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether the usual clients of a command's runtime read proxy variables; False where that is not known."""
    found = canary_for(command, env)
    if found is None or found.runtime != "node":
        return found is not None and found.runtime in _READ_PROXIES
    try:
        said = subprocess.run(  # noqa: S603  (a runtime that the user is about to run)
            [shutil.which("node", path=env.get("PATH")) or "node", "--version"],
            capture_output=True, timeout=2, check=True, text=True,
        ).stdout  # fmt: skip
        major, minor = (int(part) for part in said.strip().removeprefix("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return (major, minor) >= (24, 5) or (22, 21) <= (major, minor) < (23, 0)


def _without_wrappers(words: list[str]) -> tuple[list[str], list[str]]:
    """Split off ``env NAME=value`` and the like, which say nothing of the program and belong to its environment."""
    cut = 0
    while cut < len(words) and (
        Path(words[cut]).name in _TRANSPARENT or (cut and re.match(r"[A-Za-z_]\w*=", words[cut]))
    ):
        cut += 1
    return words[:cut], words[cut:]


def _split_runner(words: list[str]) -> tuple[list[str], list[str]]:
    kept, rest = words[:2], words[2:]
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in _NAMES_THE_PROGRAM:
            break
        kept.append(option)
        if option in _TAKES_VALUE and rest:
            kept.append(rest.pop(0))
    return kept, rest


def _interpreter(file: Path, path: str | None) -> str:
    """Give the program that a script names in its first line, nothing for one that is no script."""
    with suppress(OSError), file.open("rb") as stream:
        match = _SHEBANG.match(stream.read(512))
        if match:
            named = (match[2] or b"").decode("utf-8", "replace") if match[1].endswith(b"/env") else match[1].decode()
            return shutil.which(named, path=path) or ""
    return ""


def _name(program: str) -> str:
    return _VERSION.sub("", Path(program).name.lower().removesuffix(".exe"))


def _placed(runtime: str, program: str, options: Sequence[str]) -> tuple[str, ...]:
    """Give the words that run the canary, with those options of the command that change how calls are made."""
    return _PLACES[runtime](program, options)


def _node(program: str, options: Sequence[str]) -> tuple[str, ...]:
    kept, rest = [], list(options)
    while rest and rest[0].startswith("--") | (rest[0] in _NODE_VALUE):
        option = rest.pop(0)
        if option in {"--eval", "--print", "--test", "--check", "--"}:
            break
        kept.append(option)
        if option in _NODE_VALUE and rest:
            kept.append(rest.pop(0))
    return program, *kept, str(_CANARIES / "canary.mjs")


def _java(program: str, options: Sequence[str]) -> tuple[str, ...]:
    return program, *(word for word in options if word.startswith("-D")), str(_CANARIES / "Canary.java")


_PLACES: Mapping[str, Callable[[str, Sequence[str]], tuple[str, ...]]] = {
    "python": lambda program, _: (program, str(_CANARIES / "canary.py")),
    "node": _node,
    "deno": lambda program, _: (program, "run", "--allow-all", "--no-lock", str(_CANARIES / "canary.mjs")),
    "bun": lambda program, _: (program, "run", str(_CANARIES / "canary.mjs")),
    "ruby": lambda program, _: (program, str(_CANARIES / "canary.rb")),
    "php": lambda program, _: (program, str(_CANARIES / "canary.php")),
    "java": _java,
    "go": lambda program, _: (program, "run", str(_CANARIES / "canary.go")),
    "curl": lambda program, _: ("/bin/sh", str(_CANARIES / "curl.sh"), program),
}
