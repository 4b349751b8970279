"""The prompt, or prompt and answer together, are longer than the model takes. Per-minute allowances speak of time."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Rule, first, named, only, said, unless
from gateway.diagnose.wording import groups
from gateway.model.cause import Cause

_ANSWER = groups(
    "max tokens|max completion tokens|maximum tokens you requested|maximum output|max output tokens|"
    "maximum tokens value|maxtokens|max new tokens"
)
_PROMPT = groups("context|prompt|input|messages|window|conversation|reduce the length")


def _of_the_answer(seen: Observation) -> bool:
    """Whether it speaks of the length that the caller allows for the answer, and not of what was sent."""
    return seen.message.says(_ANSWER) and not seen.message.says(_PROMPT)


RULE = Rule(
    cause=Cause.REQUEST_CONTEXT_LENGTH,
    match=only(
        lambda seen: seen.status in {0, 200, 500} or (seen.status // 100 == 4 and seen.status != 429),
        unless(
            first(
                said("per min|per minute|per day|tpm|rpm|tpd|rate limit|quota|credits|afford|enqueued|balance"),
                named("string_above_max_length|array_above_max_length"),
                only(_of_the_answer, said("tokens|token")),
            ),
            first(
                named(
                    "context_length_exceeded|max_context_length_exceeded|context_window_exceeded|"
                    "exceed_context_size_error|contextwindowexceeded|model_context_window_exceeded|"
                    "prompt_too_long|input_too_long"
                ),
                said(
                    "context|window|n_ctx|n ctx",
                    "exceed|exceeds|exceeded|maximum|too long|larger than|longer than|limit|reached|too large|"
                    "shift|full|超过|超出",
                ),
                said(
                    "prompt|input|messages|conversation|text|request|total tokens|input tokens|inputs|sequence|query",
                    "too long|too many tokens|too large for|exceeds the maximum number of tokens|"
                    "exceeds the maximum token|maximum number of tokens|token limit|tokens maximum|"
                    "length should be|reduce the length|exceed context|must have less than|must be less than|"
                    "longest supported|max input tokens|maximum input|maximum context|tokens exceed|truncated|"
                    "truncation|longer than the|exceeds the model|exceeded max|maximum length|max length|"
                    "tokens in the prompt",
                ),
                said(
                    "tokens|token",
                    "maximum allowed|max allowed|reduce your prompt|reduce the length|supports at most|"
                    "longer than the model|model's maximum|model supports|too many tokens|exceeds the limit",
                ),
                said(
                    "上下文|输入|prompt|token|文本",
                    "长度超|超长|过长|超过最大|超出最大|最大长度|超过了模型|超出模型|超过限制|超出限制",
                ),
                said("range of input length"),
                said("tokens", "max new tokens|max tokens", "must be"),
            ),
        ),
    ),
    outranks=(
        "request.invalid_parameter",
        "request.payload_too_large",
        "service.server_error",
        "request.model_not_found",
        "request.unsupported_parameter",
        "rate_limit.unknown",
        "request.missing_parameter",
    ),
)
