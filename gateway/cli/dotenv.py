"""Base URLs that an app will read from a ``.env`` file: nothing in it is used, only what is named there.

An app that loads such a file lets variables win that are set already, so one set by us would send a relay's key to the
provider. Whether an app loads the file cannot be known.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

_NAMES = (".env", ".env.local")
_READ_BYTES = 65_536
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*[=:]\s*(.*)$", re.MULTILINE)


def named_in_files(command: Sequence[str], cwd: Path, names: Collection[str]) -> Mapping[str, str]:
    """Give those of ``names`` that a ``.env`` sets, with their values.

    Looked at are the folder we stand in and those of the files that the command names, each up to the first folder
    with such a file, as the usual libraries look for it.
    """
    starts = [cwd, *((cwd / word).parent for word in command if _is_file(cwd / word))]
    return {
        name: value
        for file in dict.fromkeys(found for start in starts for found in _nearest(start))
        for name, value in _pairs(file)
        if name in names
    }


def _is_file(path: Path) -> bool:
    """Also for words that are no path at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _nearest(start: Path) -> Iterable[Path]:
    try:
        start = start.absolute()
    except OSError:
        # The folder we stand in is gone.
        return ()
    for folder in (start, *start.parents):
        if found := [folder / name for name in _NAMES if _is_file(folder / name)]:
            return found
    return ()


def _pairs(file: Path) -> Iterable[tuple[str, str]]:
    try:
        with file.open("rb") as stream:
            text = stream.read(_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return
    for match in _LINE.finditer(text):
        value = match[2].strip()
        quoted = re.match(r"(['\"])(.*?)\1", value)
        value = quoted[2] if quoted else value.partition(" #")[0].strip()
        if value:
            yield match[1], value
