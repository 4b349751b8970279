"""A field that the endpoint needs is not there. A missing credential is `auth.missing_key`."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_MISSING_PARAMETER,
    match=only(
        in_status(4, 0),
        unless(
            said(
                "api key|apikey|credential|authentication|authorization|token is|access token|verif|scope|"
                "permission|payment|api version|api-version|anthropic version|extra usage"
            ),
            first(
                named(
                    "missing_required_parameter|missing_parameter|parameter_missing|missing_field|"
                    "missingparameter|missing|value_error.missing"
                ),
                said(
                    "parameter|field|property|argument|model|messages|prompt|input|key",
                    "missing required|is a required|field required|is required|are required|required parameter|"
                    "required field|required property|missing field|missing parameter|missing key|must provide|"
                    "must be provided|must be specified|must specify|must include|was not provided|not provided|"
                    "can not be empty|should not be empty|缺少|必填|不能为空",
                ),
                said("missing required|required parameter missing|field required|missing field"),
            ),
        ),
    ),
    outranks=("request.invalid_parameter", "request.model_not_found", "request.not_found"),
)
