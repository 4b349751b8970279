"""The service knows no such parameter, or not with this model."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_UNSUPPORTED_PARAMETER,
    match=only(
        in_status(4),
        unless(
            first(
                said("its format|file format|audio format|image format|could not be decoded"),
                said("api version|api-version|version", "enabled only|later|required|deprecated"),
                said("content type|media type|country|region|territory|location"),
                said("endpoint", "use the|did you mean|instead"),
            ),
            first(
                named(
                    "unsupportedparamserror|unknown_parameter|unsupported_parameter|unsupported_value|"
                    "extra_forbidden|parameter_unknown|unrecognized_parameter|value_error.extra|"
                    "invalidparameter.unsupported"
                ),
                said(
                    "unknown|unrecognized|unrecognised|unsupported|unexpected|not recognized|extra |additional",
                    "parameter|argument|field|fields|property|properties|inputs|keyword|option|request argument",
                ),
                said("unknown name"),
                said(
                    "parameter|argument|field|option|temperature|top p|top k|tools|tool |hosted tool|tool choice|"
                    "tool use|tool calling|function calling|functions|response format|json mode|"
                    "structured output|logprobs|stream|system message|system role|system prompt|"
                    "developer message|image input|image url|images|vision|audio|prefill|penalty|reasoning|"
                    "thinking|effort|seed|stop|cache control|multimodal|modalities|streaming|parallel tool calls|"
                    "max tokens|value",
                    "not supported|does not support|is unsupported|not support|not permitted|not allowed with|"
                    "not compatible|incompatible|not available with|can not be used with|only the default|不支持",
                ),
                said("no endpoints found that", "support|handle"),
                said("extra inputs are not permitted|extra fields not permitted|additional properties are not allowed"),
            ),
        ),
    ),
    outranks=("request.invalid_parameter", "request.not_found", "request.model_not_found"),
)
