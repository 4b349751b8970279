"""The model or deployment is unknown there, or this account may not see it: services answer both alike."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, shown, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_MODEL_NOT_FOUND,
    match=only(
        in_status(4, 500, 503, 0),
        unless(
            first(
                shown(lambda seen: "unsupportedparamserror" in seen.raw, "a relay's word for a parameter"),
                said("with this model|for this model|by this model|of type", "is not supported|not supported"),
                said(
                    "model",
                    "context|tokens|overloaded|busy|loading|per min|rate limit|not a chat model|"
                    "support this endpoint|support the endpoint|operation|capacity",
                ),
                said("country|region |territory"),
                only(in_status(403), said("access|permission|allowed")),
            ),
            first(
                named(
                    "model_not_found|deploymentnotfound|unknown_model|invalid_model|modelnotfound|"
                    "model_not_exist|modelnotopen|invalidendpointormodel.notfound|model_not_available|"
                    "invalid_model_name|no_such_model|no_available_channel|dedicated_endpoint_not_running|"
                    "model_not_allowed"
                ),
                said(
                    "model|deployment|engine |claude|gpt|gemini|模型",
                    "not found|does not exist|do not exist|not exist|no such|unknown|not available|"
                    "unavailable model|not a valid|invalid model|identifier is invalid|could not find|"
                    "could not be found|can not find|not be found|not supported|is not supported|"
                    "unsupported model|does not have access|no access|not have access|not deployed|not loaded|"
                    "not recognized|not served|no longer exists|is not running|no matching|pull it first|"
                    "try pulling|不存在|未找到|无效|无可用|未开通|没有",
                ),
                said(
                    "invalid model|unknown model|no such model|model not exist|no available channel|"
                    "no endpoints found for|无可用渠道"
                ),
                only(in_status(404), said("models/|model")),
            ),
        ),
    ),
    outranks=(
        "request.not_found",
        "request.invalid_parameter",
        "request.invalid_url",
        "service.unavailable",
        "service.server_error",
        "service.overloaded",
    ),
)
