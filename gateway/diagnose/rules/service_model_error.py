"""The model wrote something that the service itself could not use."""

from gateway.diagnose.rule import Rule, first, named, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_MODEL_ERROR,
    match=only(
        lambda seen: seen.status in {400, 422, 424, 500, 502, 200, 0},
        first(
            named(
                "model_error|json_validate_failed|tool_use_failed|malformed_function_call|modelerrorexception|"
                "output_parse_failed|invalid_model_output|modelstreamerrorexception|output_validation_error"
            ),
            said(
                "model|generation|output|failed generation",
                "failed to generate json|produced invalid|failed to call a function|invalid content|unusable|"
                "failed generation|produced an invalid|did not produce|empty response|malformed function|"
                "failed to validate json|could not generate|generated invalid|produced no",
            ),
        ),
    ),
    outranks=("service.server_error", "request.invalid_parameter", "service.stream_error", "request.invalid_json"),
)
