"""Too many tokens for a minute, or in the queue at once."""

from gateway.diagnose.rule import Rule, first, named, only, said, shown
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.RATE_LIMIT_TOKENS,
    match=only(
        lambda seen: seen.status in {429, 413, 200, 403, 503, 0, 400},
        first(
            named(
                "tokens|tokens_usage_based|token_limit_exceeded|tpm_limit|tokens_per_minute|input_tokens|"
                "output_tokens|limittokens"
            ),
            only(lambda seen: "token-limit" in seen.raw, said("quota|allocated", "exceed")),
            said("too many tokens", "wait|try again"),
            said(
                "token|tokens|tpm|tpm:",
                "per min|per minute|minute|tpm|token rate limit|tokens/min|enqueued|rate limit|每分钟",
            ),
            said("token rate limit|tpm|tokens usage based|request tokens has exceeded|token limit is exceeded"),
            shown(lambda seen: seen.spent == "tokens", "its headers say that tokens are short while calls are left"),
        ),
    ),
    outranks=(
        "rate_limit.unknown",
        "request.payload_too_large",
        "request.context_length",
        "quota.exhausted",
    ),
)
