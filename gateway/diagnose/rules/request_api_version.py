"""The API version is missing, unknown, or too old for what is asked."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_API_VERSION,
    match=only(
        in_status(4),
        unless(
            said("is not found for api version"),
            first(
                named(
                    "missingapiversionparameter|invalidapiversionparameter|unsupportedapiversion|"
                    "invalid_api_version|unsupported_api_version|noregisteredproviderfound|missing_api_version"
                ),
                said(
                    "openai beta|anthropic beta|beta header",
                    "must provide|header|invalid|unexpected|unsupported|required",
                ),
                said(
                    "api version|api versions|anthropic version|apiversion|版本号|version header",
                    "missing|invalid|not supported|unsupported|required|is required|enabled only|and later|"
                    "or later|not valid|not a valid|unknown|must be|specify|deprecated|不支持|缺少",
                ),
                said("preview", "api version"),
            ),
        ),
    ),
    outranks=(
        "request.invalid_parameter",
        "request.missing_parameter",
        "request.unsupported_parameter",
        "request.not_found",
        "request.model_not_found",
        "request.invalid_url",
        "request.wrong_endpoint",
    ),
)
