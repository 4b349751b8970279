"""Running the user's command as if we were not there: signals go on to it, its exit code is ours."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from gateway.cli.screen import UserError

EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126
_BY_SIGNAL = 128
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


def run_child(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end and give its exit code, 128 + n when signal n ended it.

    Raises:
        UserError: It cannot be run; exit code 127 when it does not exist, 126 when it is no program.
    """
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        elif not (number in _FROM_KEYBOARD and _in_foreground()):
            child.send_signal(number)

    # One that is ignored (nohup) stays ignored, for the child as well.
    handled = [number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in handled}
    try:
        child = _spawn(command, env)
        for number in early:
            child.send_signal(number)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else _BY_SIGNAL - code


def _in_foreground() -> bool:
    """Whether a terminal sends its Ctrl-C to us and the child alike; forwarding would give it the child twice."""
    for stream in (sys.stdin, sys.stderr, sys.stdout):
        try:
            return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
        except (OSError, ValueError, AttributeError):
            continue
    return False


def _spawn(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, env=env)  # noqa: S603  (running it is what was asked for)
    except FileNotFoundError as exc:
        what = f"There is no command {command[0]}"
        fix = "Check its name, or give its path. A shell's own words need one: whygate run -- sh -c '...'"
        raise UserError(what, "PATH", fix, EXIT_NOT_FOUND) from exc
    except OSError as exc:
        what = f"{command[0]} cannot be run ({exc.strerror})"
        fix = "Make it executable (chmod +x), or name its interpreter: whygate run -- python app.py"
        raise UserError(what, command[0], fix, EXIT_NOT_EXECUTABLE) from exc
