"""Log lines that programs write as JSON objects: the words of the failure are in one of their fields."""

from collections.abc import Mapping

from gateway.explain.dump import is_dump

_LEVELS = ("level", "levelname", "severity", "lvl", "log.level", "loglevel")
_WORDS = (
    "event",
    "msg",
    "message",
    "error",
    "err",
    "exception",
    "exc_info",
    "exc_text",
    "traceback",
    "stack_trace",
    "stack",
)
_ERRORS = ("err", "error", "exception")
_LEAST = 40
"""Of the numbers that pino and bunyan write: warnings and worse."""
_NO_FAILURES = frozenset({"debug", "info", "notice", "trace", "informational"})


def is_line(document: object) -> bool:
    """Tell whether an object is a line of a log."""
    return isinstance(document, dict) and any(isinstance(document.get(name), str | int) for name in _LEVELS)


def is_failure(line: Mapping[str, object]) -> bool:
    """Tell whether a line says that something failed."""
    level = next(line[name] for name in _LEVELS if isinstance(line.get(name), str | int))
    return (
        level.lower() not in _NO_FAILURES if isinstance(level, str) else not isinstance(level, int) or level >= _LEAST
    )


def dumped(line: Mapping[str, object]) -> dict[str, object] | None:
    """Give the error that a line carries with its properties, None when it has none."""
    for name in _ERRORS:
        error = line.get(name)
        if isinstance(error, dict) and ("stack" in error or is_dump(error)):
            return error
    return None


def words(line: Mapping[str, object]) -> str:
    """Give what a line says, its message first."""
    said: list[str] = []
    for name in _WORDS:
        value = line.get(name)
        inner = (
            [value.get(key) for key in ("type", "message", "stacktrace", "stack")]
            if isinstance(value, dict)
            else [value]
        )
        said += [text for text in inner if isinstance(text, str) and text]
    return "\n".join(dict.fromkeys(said))
