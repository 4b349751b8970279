"""No fault: a provider that counts tokens evenly, says what is left in OpenAI's headers, and refuses what is too much."""

import json
import time

from tests.faults.inject.answer import JSON
from tests.faults.inject.refused import refused
from tests.faults.upstream import Exchange, Fault
from tests.faults.words import CHAT


def tokens_of(body: bytes) -> int:
    """Count as this provider does: four characters of the messages are a token, and the answer is one."""
    return 1 + sum(len(message["content"]) for message in json.loads(body)["messages"]) // 4


def token_bucket(per_second: float, burst: int) -> Fault:
    """Answer as long as there are tokens; they fill up evenly, to ``burst``."""
    level, at = float(burst), time.monotonic()

    async def fault(exchange: Exchange) -> None:
        nonlocal level, at
        wanted, now = tokens_of(await exchange.receive()), time.monotonic()
        level, at = min(float(burst), level + (now - at) * per_second), now
        fits = wanted <= level
        level -= wanted if fits else 0
        stated = {
            "x-ratelimit-limit-tokens": f"{per_second * 60:.0f}",
            "x-ratelimit-remaining-tokens": f"{level:.0f}",
            "x-ratelimit-reset-tokens": f"{(burst - level) / per_second * 1000:.0f}ms",
        }
        if not fits:
            words = f"Rate limit reached on tokens per min (TPM): Limit {per_second * 60:.0f}. Please try again in 1s."
            await refused(429, "rate_limit_exceeded", words, stated)(exchange)
            return
        document = json.loads(CHAT.whole("x"))
        document["usage"] = {"prompt_tokens": wanted - 1, "completion_tokens": 1, "total_tokens": wanted}
        body = json.dumps(document).encode()
        await exchange.write_head(200, JSON | stated, len(body))
        await exchange.write(body)

    return fault
