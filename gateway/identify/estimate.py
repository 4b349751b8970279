"""How many tokens a request will take: an estimate that is cheap, and gets better as answers tell the truth.

Input = characters / 4 x a factor learned for the model; pictures and sound count a fixed amount, since the length of
their encoding says nothing. Output = what the request allows at most, but no more than what is usual for the model.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

CHARACTERS_PER_TOKEN = 4.0
"""OpenAI's own rule of thumb for English (help.openai.com/en/articles/4936856, read 2026-11)."""

MEDIA_TOKENS = 765
"""One picture at high detail, 1024 x 1024 (platform.openai.com/docs/guides/images-vision, read 2026-11)."""

OUTPUT_TOKENS = 512
"""What is usual before anything is learned."""

_BLOB_CHARACTERS = 512
_MODELS_MAX = 500
_SAMPLES = 100
_FACTOR_RANGE = (0.25, 4.0)
_NODES_MAX = 100_000


def input_characters(document: dict[str, object], fields: Iterable[str]) -> tuple[int, int]:
    """Count ``(characters of text, media parts)`` in the named fields. Bounded work, no recursion."""
    stack: list[object] = [document[name] for name in fields if name in document]
    characters = media = nodes = 0
    while stack and nodes < _NODES_MAX:
        nodes += 1
        node = stack.pop()
        if isinstance(node, str):
            if node.startswith("data:") or (
                len(node) > _BLOB_CHARACTERS and " " not in node[:_BLOB_CHARACTERS] and node.isascii()
            ):
                media += 1
            else:
                characters += len(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            if node and isinstance(node[0], int):
                characters += len(node) * int(
                    CHARACTERS_PER_TOKEN
                )  # token ids, as embeddings and completions take them
            else:
                stack.extend(node)
    return characters, media


@dataclass(slots=True)
class _Model:
    factor: float = 1.0
    outputs: deque[int] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    learned: int = 0
    usual: int = OUTPUT_TOKENS


class Estimates:
    """What was learned of each model. Bounded: of over 500 models the one unused for longest is forgotten."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, _Model] = OrderedDict()

    def tokens_in(self, model: str, characters: int, media: int) -> int:
        """Estimate the input."""
        known = self._models.get(model)
        factor = known.factor if known is not None else 1.0
        return max(1, round(characters / CHARACTERS_PER_TOKEN * factor)) + media * MEDIA_TOKENS

    def tokens_out(self, model: str, stated_max: int | None) -> int:
        """Estimate the output: what is usual, and never above what the request allows."""
        known = self._models.get(model)
        usual = known.usual if known is not None else OUTPUT_TOKENS
        if stated_max is None:
            return usual
        return min(stated_max, usual) if known is not None and known.outputs else stated_max

    def learn(self, model: str, estimated_in: int, tokens_in: int | None, tokens_out: int | None) -> None:
        """Take in what the provider counted."""
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = _Model()
            if len(self._models) > _MODELS_MAX:
                self._models.popitem(last=False)
        else:
            self._models.move_to_end(model)
        if tokens_in and estimated_in > 0:
            low, high = _FACTOR_RANGE
            known.factor = min(high, max(low, known.factor * (0.9 + 0.1 * tokens_in / estimated_in)))
        if tokens_out is not None:
            known.outputs.append(tokens_out)
            known.learned += 1
            if known.learned % 10 == 0 or known.learned < 10:
                known.usual = max(1, sorted(known.outputs)[int(len(known.outputs) * 0.9) - (len(known.outputs) > 1)])
