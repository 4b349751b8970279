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
                named("model_decommissioned", "model_deprecated", "model_retired", "deploymentretired", "modelretired"),
                said(
                    "model|deployment|gpt|claude|gemini|llama|mixtral|davinci|version of|engine|this version|\u6a21\u578b",
                    "deprecated|decommissioned|retired|retirement|sunset|discontinued|no longer available|no longer supported|no longer served|end of life|has been shut down|been shutdown|has been removed|was removed|were removed|end of its life|phased out|\u4e0b\u7ebf|\u5f03\u7528|\u505c\u6b62\u670d\u52a1",
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
