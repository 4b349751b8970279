"""The model existed and was retired."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_MODEL_DEPRECATED,
    match=only(
        in_status(4),
        unless(
            said("api version|parameter|endpoint|header|field", "deprecated"),
            first(
                named("model_decommissioned|model_deprecated|model_retired|deploymentretired|modelretired"),
                said(
                    "model|deployment|gpt|claude|gemini|llama|mixtral|davinci|version of|engine|this version|模型",
                    "deprecated|decommissioned|retired|retirement|sunset|discontinued|no longer available|"
                    "no longer supported|no longer served|end of life|has been shut down|been shutdown|"
                    "has been removed|was removed|were removed|end of its life|phased out|下线|弃用|停止服务",
                ),
            ),
        ),
    ),
    outranks=(
        "request.model_not_found",
        "request.not_found",
        "request.invalid_parameter",
        "auth.permission",
        "request.unsupported_parameter",
    ),
)
