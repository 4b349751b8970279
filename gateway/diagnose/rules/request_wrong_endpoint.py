"""The model or the feature is real, but lives behind another endpoint."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_WRONG_ENDPOINT,
    match=only(
        in_status(4, 500),
        unless(
            said("not found|does not exist", "or is not supported|or not supported"),
            first(
                named("operationnotsupported|unsupported_endpoint|wrong_endpoint|endpoint_not_supported"),
                said(
                    "not a chat model|not a completion model|is a chat model|not an embedding model|"
                    "not a text model|did you mean to use|only supported in v1|only supported in the|"
                    "use the responses endpoint|use the chat completions"
                ),
                said(
                    "model|feature|operation|request|deployment",
                    "endpoint|v1/|/v1|api/|operation|responses api|chat completions api|completions api|"
                    "completion operation|embeddings operation|batch api|realtime api|live api|bidi",
                    "not supported in|not supported for|does not work with|does not support|only available|"
                    "only supported|use the|please use|instead|not supported on|is not supported by",
                ),
                said(
                    "not supported on this api|does not support this api|does not support chat|"
                    "does not support embeddings|does not support generate|does not support completions|"
                    "does not support the messages|use the v1|use the responses|use the chat|use the messages|"
                    "use the embeddings",
                    "api|endpoint|embeddings|generate|chat|completions|messages",
                ),
                said("interactions api|assistants api|messages api", "use the|please use|instead|only"),
            ),
        ),
    ),
    outranks=(
        "request.invalid_parameter",
        "request.unsupported_parameter",
        "request.model_not_found",
        "request.not_found",
        "request.invalid_url",
    ),
)
