"""A value is wrong in kind, range or form: what is left of a request's errors when nothing more special is said."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_INVALID_PARAMETER,
    match=first(
        only(
            in_status(400, 422, 413, 500),
            first(
                named(
                    "invalid_value|invalid_type|invalid_parameter|invalidparameter|invalid_argument|value_error|"
                    "type_error|string_above_max_length|array_above_max_length|invalid_json_schema|"
                    "invalid_image_url|invalid_image_format|unsupported_format|validationexception|"
                    "validation_error|literal_error|greater_than_equal|less_than_equal"
                ),
                said(
                    "invalid|not one of|must be|should be|expected|is not of type|out of range|valid range|"
                    "at least|at most|less than|greater than|not a valid|not valid|illegal|无效|非法|不合法|参数",
                    "value|type|parameter|argument|field|range|format|schema|role|string|integer|number|array|"
                    "object|image|file|audio|url|base64|messages|temperature|max tokens|参数|值",
                ),
                said(
                    "error while downloading|failed to download|could not download|unable to download|fetch",
                    "image|file|url|http|https",
                ),
                said(
                    "tool|tool call|tool calls|function call|tool result|tool use",
                    "must be followed|must follow|no tool|without|did not have|not found|missing|duplicate|"
                    "unexpected|preceding|corresponding",
                ),
                said("max tokens|max_tokens|max completion tokens", "too large|exceed|at most|larger than"),
                said("roles must alternate|must end with a user|first message|at least one message|last message"),
                said(
                    "validation error|unsupported image|unsupported file|could not process image|"
                    "could not process the image|invalid base64|unable to process input image"
                ),
            ),
        ),
        only(lambda seen: seen.enveloped, status(400, 422)),
    ),
    general=2,
)
