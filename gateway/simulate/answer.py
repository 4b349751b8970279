"""The text of an answer: a function of the prompt and the knobs."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gateway.simulate.config import Knobs

_CHARACTERS_PER_TOKEN = 4
_ECHO_CHARACTERS = 2_000
_MAX_DEPTH = 16
# Without a wanted number of events, long answers come in larger pieces, not in ever more of them.
_PIECE_BYTES = 64
_MAX_PIECES = 1_000
# The fields of all providers: an answer depends on what was said, not on whose words frame it.
_TEXT_KEYS = (
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
    "messages",
    "input",
    "contents",
    "prompt",
    "requests",
    "content",
    "parts",
    "text",
)
_SAID_KEYS = ("messages", "input", "contents", "prompt")
_MAXIMUM_KEYS = ("max_completion_tokens", "max_output_tokens", "maxOutputTokens", "max_tokens")
_PIECE = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says.

    Attributes:
        pieces: The text, cut as the stream delivers it.
        cut_short: The caller's maximum of output tokens ended the text.
    """

    pieces: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cut_short: bool

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def count_tokens(text: str) -> int:
    """Return a token count: characters divided by four, rounded up, at least one."""
    return max(1, -(-len(text) // _CHARACTERS_PER_TOKEN))


def prompt_of(payload: Mapping[str, Any]) -> str:
    """Return all text of a request, in the order of its fields."""
    return " ".join(_texts({key: payload[key] for key in _TEXT_KEYS if key in payload}))


def answer_to(payload: Mapping[str, Any], knobs: Knobs) -> Answer:
    """Answer a request. A wanted number of events or bytes is met exactly, whatever the caller's maximum."""
    prompt = prompt_of(payload)
    cut_short = False
    if knobs.events is None and knobs.answer_bytes is None:
        text = f"Echo: {_last_words(payload)[:_ECHO_CHARACTERS]}"
        most = _max_tokens(payload)
        if most is not None and count_tokens(text) > most:
            text, cut_short = text[: most * _CHARACTERS_PER_TOKEN], True
        pieces = tuple(_PIECE.findall(text))
    else:
        pieces = _measured_pieces(prompt, knobs.events, knobs.answer_bytes)
    return Answer(
        pieces=pieces,
        input_tokens=count_tokens(prompt),
        output_tokens=count_tokens("".join(pieces)),
        cut_short=cut_short,
    )


def _measured_pieces(prompt: str, events: int | None, size: int | None) -> tuple[str, ...]:
    seed = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
    if size is None:
        return tuple(f"{seed[number % 56 : number % 56 + 7]} " for number in range(events or 0))
    text = (seed * (size // len(seed) + 1))[:size]
    count = max(1, events if events is not None else min(size // _PIECE_BYTES, _MAX_PIECES))
    cuts = [size * part // count for part in range(count + 1)]
    return tuple(text[start:end] for start, end in pairwise(cuts))


def _last_words(payload: Mapping[str, Any]) -> str:
    """Return the text of the last message."""
    said = next((payload[key] for key in _SAID_KEYS if key in payload), "")
    if isinstance(said, list):
        said = said[-1:]
    return " ".join(_texts(said))


def _max_tokens(payload: Mapping[str, Any]) -> int | None:
    nested = payload.get("generationConfig")
    limits = {**payload, **nested} if isinstance(nested, dict) else payload
    for key in _MAXIMUM_KEYS:
        most = limits.get(key)
        if isinstance(most, int) and most > 0:
            return most
    return None


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _MAX_DEPTH and isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)
    elif depth < _MAX_DEPTH and isinstance(value, dict):
        for key in _TEXT_KEYS:
            if key in value:
                yield from _texts(value[key], depth + 1)
