"""The body could not be parsed. Words about a JSON *schema* or about what the model wrote are something else."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_INVALID_JSON,
    match=only(
        in_status(4, 500),
        unless(
            said(
                "unknown variant|missing field|invalid type|unknown field|did not match any variant|"
                "expected one of|schema|response format|model output|tool call|function call|unknown name|"
                "unknown field"
            ),
            first(
                named("json_invalid|invalid_json|malformed_json|json_parse_error|malformedjson"),
                said(
                    "json",
                    "parse|parsing|decode|malformed|invalid json|not valid|not a valid|is invalid|deserializ|"
                    "expecting|unexpected end|unexpected token|unexpected character|syntax|解析|格式错误|格式不",
                ),
                said(
                    "request body|body of your request|the body",
                    "could not be parsed|can not be parsed|could not parse|unable to parse|failed to parse",
                ),
                said("looking for beginning|unexpected character|unmarshal|json decode error|jsondecodeerror"),
            ),
        ),
    ),
    outranks=("request.invalid_parameter", "request.missing_parameter", "service."),
)
