"""Makes captured text harmless for a terminal: nothing in it can move the cursor, hide, or turn the line around."""

import re
import unicodedata
from datetime import datetime

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}


def plain(text: object, limit: int = 2000) -> str:
    """Give one line of text in which every control or invisible character is spelled out; longer text is cut."""
    found = _UNSAFE.sub(_spelled, str(text)[: limit + 1])
    return found if len(found) <= limit else found[: limit - 1] + "…"


def plain_lines(text: str, limit: int = 64 * 1024) -> str:
    """Give text of several lines, whose line ends and tabs stay."""
    return "\n".join(plain(line.replace("\t", "    ").removesuffix("\r"), limit) for line in text[:limit].split("\n"))


def _spelled(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def duration(milliseconds: float | None) -> str:
    """Give a duration as people say it: ``340 ms``, ``2.4 s``, ``3 min 05 s``; empty for None."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"


def local_time(iso: object) -> str:
    """Give hours, minutes and seconds of this machine's zone; the text itself when it is no time."""
    try:
        return datetime.fromisoformat(str(iso)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return plain(iso, 24)


def title_of(cause: str) -> str:
    """Give words for a slug that came without a title."""
    words = plain(cause.partition(".")[2] or cause, 80).replace("_", " ")
    return unicodedata.normalize("NFC", words[:1].upper() + words[1:])
