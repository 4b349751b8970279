"""Azure's bodies, as they have been seen, and what they mean."""

import orjson
import pytest

from gateway.identify.locate import Locator
from gateway.model.cause import Cause
from gateway.model.provider import StreamNews
from gateway.providers.azure_openai import PROVIDER
from gateway.providers.openai import CHAT_STREAM
from tests.gateway.providers import test_anthropic, test_openai
from tests.gateway.providers.compatible import CHUNK, FAILED
from tests.gateway.providers.contract import ProviderContract

_FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
_FIRST = (
    b'data: {"id":"","object":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":'
    b'{"error":{"code":"content_filter_error","message":"The contents are not filtered"}}}]}\n\n'
)


def _error(code: str | None, message: str = "", **more: object) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, **more}})


class TestAzure(ProviderContract):
    provider = PROVIDER
    errors = (
        (
            429,
            _error(
                "429", "Requests to the ... Operation have exceeded call rate limit of your current S0 pricing tier."
            ),
            Cause.RATE_LIMIT_REQUESTS,
        ),
        (429, _error("429", "have exceeded token rate limit of your current pricing tier."), Cause.RATE_LIMIT_TOKENS),
        (
            429,
            _error("429", "have exceeded call rate limit of ... Please retry after 86400 seconds."),
            Cause.RATE_LIMIT_DAILY,
        ),
        (429, _error("429", "The system is currently experiencing high demand"), Cause.SERVICE_OVERLOADED),
        (
            429,
            b'{"statusCode":429,"message":"Token limit is exceeded. Try again in 9 seconds."}',
            Cause.RATE_LIMIT_TOKENS,
        ),
        (
            429,
            b'{"statusCode":429,"message":"Rate limit is exceeded. Try again in 9 seconds."}',
            Cause.RATE_LIMIT_UNKNOWN,
        ),
        (404, _error("DeploymentNotFound", "The API deployment does not exist."), Cause.REQUEST_MODEL_NOT_FOUND),
        (404, _error("404", "Resource not found"), Cause.REQUEST_INVALID_URL),
        (404, b'{"statusCode":404,"message":"Resource not found"}', Cause.REQUEST_INVALID_URL),
        (400, _error("content_filter", _FILTERED, type=None, param="prompt", status=400), Cause.REQUEST_CONTENT_POLICY),
        (
            400,
            _error(None, "no", innererror={"code": "ResponsibleAIPolicyViolation"}),
            Cause.REQUEST_CONTENT_POLICY,
        ),
        (
            400,
            _error("BadRequest", "Model o1 is enabled only for api versions 2024-12-01-preview"),
            Cause.REQUEST_API_VERSION,
        ),
        (400, _error("OperationNotSupported", "does not work with the specified model"), Cause.REQUEST_WRONG_ENDPOINT),
        (401, _error("PermissionDenied", "The principal lacks the required data action"), Cause.AUTH_PERMISSION),
        (
            401,
            _error("401", "Access denied due to invalid subscription key or wrong API endpoint."),
            Cause.AUTH_INVALID_KEY,
        ),
        (401, b'{"statusCode":401,"message":"Access denied due to missing subscription key."}', Cause.AUTH_MISSING_KEY),
        (403, _error("403", "Access denied due to Virtual Network/Firewall rules."), Cause.AUTH_IP_NOT_ALLOWED),
        (
            403,
            _error("403", "Public access is disabled. Please configure private endpoint."),
            Cause.AUTH_IP_NOT_ALLOWED,
        ),
        (403, _error("Forbidden", "The resource has been temporarily blocked"), Cause.ACCOUNT_DEACTIVATED),
        (500, _error(None, "The model produced invalid content.", type="model_error"), Cause.SERVICE_MODEL_ERROR),
        (500, _error("InternalServerError"), Cause.SERVICE_SERVER_ERROR),
    )
    streams = {  # noqa: RUF012 - a constant of the contract
        "chat.completions": (_FIRST, *test_openai.TestOpenAI.streams["chat.completions"]),
        "responses": test_openai.TestOpenAI.streams["responses"],
        "messages": test_anthropic.TestAnthropic.streams["messages"],
    }
    finish = {"chat.completions": CHUNK % (b"{}", b'"content_filter"')}  # noqa: RUF012 - the same
    failures = {"chat.completions": FAILED}  # noqa: RUF012 - the same
    usages = (*test_openai.TestOpenAI.usages, *test_anthropic.TestAnthropic.usages)
    targets = (
        (b"/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", "chat.completions", "gpt-4o"),
        (b"/openai/deployments/emb/embeddings?api-version=2024-10-21", "embeddings", "emb"),
        (b"/openai/deployments?api-version=2022-12-01", "deployments", ""),
        (b"/openai/deployments/gpt-4o?api-version=2022-12-01", "deployments", "gpt-4o"),
        (b"/openai/v1/chat/completions", "chat.completions", ""),
        (b"/openai/v1/responses?api-version=preview", "responses", ""),
        (b"/openai/responses?api-version=2025-04-01-preview", "responses", ""),
        (b"/openai/models?api-version=2024-10-21", "models", ""),
        (b"/models/chat/completions?api-version=2024-05-01-preview", "chat.completions", ""),
        (b"/anthropic/v1/messages", "messages", ""),
        (b"/api/projects/p/openai/v1/responses", "responses", ""),
        (b"/vision/v3.2/analyze", "other", ""),
    )
    limits = (
        (
            ((b"x-ratelimit-remaining-requests", b"7"), (b"x-ratelimit-limit-requests", b"8")),
            (("requests", 8, 7, None, 60.0),),
        ),
        (((b"x-ratelimit-remaining-requests", b"-1"), (b"x-ratelimit-remaining-tokens", b"0")), ()),
        (
            (
                (b"x-ratelimit-limit-requests", b"0"),
                (b"x-ratelimit-remaining-requests", b"0"),
                (b"x-ratelimit-limit-tokens", b"-1"),
                (b"x-ratelimit-remaining-tokens", b"-1"),
            ),
            (),
        ),
        (
            ((b"x-ratelimit-limit-tokens", b"8000"), (b"x-ratelimit-remaining-tokens", b"0")),
            (("tokens", 8000, 0, None, 60.0),),
        ),
    )

    refusals = (
        (
            _error(
                "429", "have exceeded call rate limit of your current OpenAI S0 pricing tier. Retry after 3 seconds."
            ),
            (),
        ),
        (
            b'{"statusCode":429,"message":"Rate limit of 60 requests per minute is exceeded. Try again in 9 seconds."}',
            (("requests", 60, 0, None, 60.0),),
        ),
    )

    def _envelope(self, code: str, kind: str) -> bytes:
        return _error(code, type=kind or None)


@pytest.mark.parametrize(
    "host", ["contoso.openai.azure.com", "contoso.cognitiveservices.azure.com", "contoso.openai.azure.us"]
)
def test_a_customers_host_is_azures(host: str) -> None:
    assert Locator((PROVIDER,)).provider_of(host, 443) is PROVIDER


def test_a_filter_that_did_not_run_is_no_error() -> None:
    assert CHAT_STREAM.read(_FIRST) is StreamNews.GOING
