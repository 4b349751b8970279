"""DeepSeek's bodies, as they have been seen, and what they mean."""

from gateway.model.cause import Cause
from gateway.model.provider import StreamNews
from gateway.providers.deepseek import PROVIDER
from gateway.providers.openai import CHAT_STREAM
from tests.gateway.providers.compatible import CompatibleContract, error

_CODE = "invalid_request_error"


class TestDeepSeek(CompatibleContract):
    provider = PROVIDER
    errors = (
        (400, error(_CODE, _CODE, "Model Not Exist"), Cause.REQUEST_MODEL_NOT_FOUND),
        (400, error(_CODE, _CODE, "Invalid max_tokens value"), Cause.REQUEST_INVALID_PARAMETER),
        (
            400,
            error(_CODE, _CODE, "This model's maximum context length is 131072 tokens."),
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (401, error(_CODE, "authentication_error", "Authentication Fails (no such user)"), Cause.AUTH_INVALID_KEY),
        (
            401,
            error(_CODE, "authentication_error", "Authentication Fails (auth header format should be Bearer sk-...)"),
            Cause.AUTH_MALFORMED_HEADER,
        ),
        (402, error(_CODE, "unknown_error", "Insufficient Balance"), Cause.QUOTA_EXHAUSTED),
        (422, error(None, None, "wrong"), Cause.REQUEST_INVALID_PARAMETER),
        (429, error(None, None, "slower"), Cause.RATE_LIMIT_UNKNOWN),
        (503, error(None, None, "busy"), Cause.SERVICE_OVERLOADED),
    )
    targets = (
        (b"/chat/completions", "chat.completions", ""),
        (b"/v1/chat/completions", "chat.completions", ""),
        (b"/beta/completions", "completions", ""),
        (b"/anthropic/v1/messages", "messages", ""),
        (b"/user/balance", "other", ""),
    )


def test_a_comment_that_keeps_a_stream_open_is_no_news() -> None:
    assert CHAT_STREAM.read(b': keep-alive "error" [DONE]\n\n') is StreamNews.GOING
