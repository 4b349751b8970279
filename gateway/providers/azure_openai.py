"""Azure OpenAI and Microsoft Foundry: every customer has a host, every model a deployment that the path names.

Sources (read 2026-11): learn.microsoft.com/azure/foundry/openai/reference, /openai/how-to/troubleshoot-errors,
/openai/how-to/quota, /openai/concepts/content-filter, /azure/azure-government/compare-azure-government-global-azure and
/azure/china/resources-developer-guide (hosts of the sovereign clouds), /azure/api-management/llm-token-limit-policy.

The API's version stands in the query, hence in the target and so in the cache key. The SDKs read
``AZURE_OPENAI_ENDPOINT``, which names the customer: there is no value of ours that would be right for everybody, so it
can only be rewritten where it is set.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.model.call import Headers
from gateway.model.cause import Cause
from gateway.model.provider import Declared, Endpoint, Named, StatedLimit
from gateway.providers import _messages, anthropic, openai
from gateway.providers._envelope import declare, read_object
from gateway.providers._headers import duration, limits_of, openai_names
from gateway.providers._json import parsed, word
from gateway.providers._refine import Said, by_message

DECLARED: Mapping[tuple[int, str], Cause] = {
    **{key: cause for key, cause in anthropic.DECLARED.items() if key[0] == 0},
    **openai.DECLARED,
    (0, "DeploymentNotFound"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "unknown_model"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "OperationNotSupported"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "content_filter"): Cause.REQUEST_CONTENT_POLICY,
    (0, "ResponsibleAIPolicyViolation"): Cause.REQUEST_CONTENT_POLICY,
    (0, "PermissionDenied"): Cause.AUTH_PERMISSION,
    (0, "Unauthorized"): Cause.AUTH_INVALID_KEY,
    (0, "RateLimitReached"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "NoCapacity"): Cause.SERVICE_OVERLOADED,
    (0, "MissingApiVersionParameter"): Cause.REQUEST_API_VERSION,
    (0, "InvalidApiVersionParameter"): Cause.REQUEST_API_VERSION,
    (0, "UnsupportedApiVersion"): Cause.REQUEST_API_VERSION,
    (400, "BadRequest"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "InternalServerError"): Cause.SERVICE_SERVER_ERROR,
}
"""Azure's own codes before OpenAI's; a code that repeats the status says nothing, the message decides."""

BY_STATUS: Mapping[int, Cause] = {**openai.BY_STATUS, 403: Cause.AUTH_PERMISSION, 424: Cause.SERVICE_SERVER_ERROR}

refine = by_message(
    (
        Said(429, "retry after 86400 seconds", Cause.RATE_LIMIT_DAILY),
        Said(429, "high demand", Cause.SERVICE_OVERLOADED),
        Said(429, "call rate limit", Cause.RATE_LIMIT_REQUESTS),
        Said(429, "token rate limit", Cause.RATE_LIMIT_TOKENS),
        Said(429, "token limit is exceeded", Cause.RATE_LIMIT_TOKENS),  # API Management in front of it
        Said(401, "missing subscription key", Cause.AUTH_MISSING_KEY),
        Said(401, "invalid subscription key", Cause.AUTH_INVALID_KEY),
        Said(403, "virtual network", Cause.AUTH_IP_NOT_ALLOWED),
        Said(403, "firewall", Cause.AUTH_IP_NOT_ALLOWED),
        Said(403, "public access is disabled", Cause.AUTH_IP_NOT_ALLOWED),
        Said(403, "temporarily blocked", Cause.ACCOUNT_DEACTIVATED),
        Said(404, "api version not supported", Cause.REQUEST_API_VERSION),
        Said(404, "resource not found", Cause.REQUEST_INVALID_URL),
        Said(400, "api version", Cause.REQUEST_API_VERSION),
        Said(400, "api-version", Cause.REQUEST_API_VERSION),
    ),
    openai.refine,
)
"""What Azure says only in the message; its codes are often the status once more."""


def read_error(body: bytes) -> Declared | None:
    """Read ``{"error": {"code", "message", "innererror"}}``, or API Management's ``{"statusCode", "message"}``."""
    document = parsed(body)
    declared = read_object(body)
    if not isinstance(document, dict):
        return None
    if declared is None:
        return declare(document) if type(document.get("statusCode")) is int else None
    error = document["error"]
    inner = error.get("innererror", error.get("inner_error"))
    return declared if declared.type or not isinstance(inner, dict) else declared._replace(type=word(inner.get("code")))


def name_target(target: bytes) -> Named:
    """Read path: a deployment's, the version without deployments, Foundry's inference, or Anthropic's models there."""
    path = target.partition(b"?")[0].decode("latin-1")
    before, found, rest = path.partition("/openai/deployments/")
    if found:
        deployment, slash, rest = rest.partition("/")
        return Named(slash + rest, deployment) if slash else Named("/deployments", deployment)
    for base in ("/openai/v1", "/anthropic/v1", "/openai", "/models"):
        before, found, rest = path.partition(base + "/")
        if found:
            return Named("/" + rest)
    return Named(before)


_read_limits = limits_of(openai_names(requests=60.0, tokens=60.0), duration)


def read_limits(headers: Headers) -> tuple[StatedLimit, ...]:
    """Read OpenAI's names. Azure has been seen to send 0 and -1 for what it does not know: 0 counts beside a limit."""
    return tuple(one for one in _read_limits(headers) if one.limit or one.remaining)


PROVIDER = replace(
    openai.PROVIDER,
    name="azure",
    hosts=(
        "*.openai.azure.com",
        "*.cognitiveservices.azure.com",
        "*.services.ai.azure.com",
        "*.openai.azure.us",
        "*.cognitiveservices.azure.us",
        "*.openai.azure.cn",
        "*.cognitiveservices.azure.cn",
    ),
    resource_host="{}.openai.azure.com",
    base_url_variables=("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"),
    base_path="",
    name_target=name_target,
    key_headers=(b"api-key", b"x-api-key", b"authorization"),
    scope_headers=(),
    version_headers=(*openai.PROVIDER.version_headers, *anthropic.PROVIDER.version_headers),
    endpoints={
        **openai.ENDPOINTS,
        **_messages.ENDPOINTS,
        "/images/embeddings": Endpoint(name="images.embeddings", pure=True, prompt_fields=("input",)),
        "/info": Endpoint(name="info"),
        "/deployments": Endpoint(name="deployments"),
    },
    declared=DECLARED,
    by_status=BY_STATUS,
    read_error=read_error,
    refine=refine,
    read_usage=_messages.read_usage,
    account_headers=(),
    request_id_headers=(b"apim-request-id", b"x-request-id", b"x-ms-request-id"),
    read_limits=read_limits,
)
