"""A safety system refused the prompt or the answer."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Rule, first, named, only, said, shown
from gateway.model.cause import Cause

_ENDS = (
    '"finish_reason":"content_filter"',
    '"finish_reason": "content_filter"',
    '"finishreason":"safety"',
    '"finishreason": "safety"',
    '"blockreason"',
    '"stop_reason":"refusal"',
    '"stop_reason": "refusal"',
)


def _finish(seen: Observation) -> str:
    return next((end for end in _ENDS if end in seen.raw), "")


RULE = Rule(
    cause=Cause.REQUEST_CONTENT_POLICY,
    match=only(
        lambda seen: seen.status != 429,
        first(
            named(
                "content_filter",
                "content_policy_violation",
                "moderation_blocked",
                "responsibleaipolicyviolation",
                "data_inspection_failed",
                "datainspectionfailed",
                "safety",
                "prohibited_content",
                "blocklist",
                "spii",
                "public_error_unsafe_generation",
                "content_policy",
                "sensitive_content",
                "risk_control",
                "image_safety",
                "image_content_policy_violation",
                "contentfilter",
                "sensitivecontentdetected",
                "inputtextsensitivecontentdetected",
                "outputtextsensitivecontentdetected",
                "new_sensitive",
                "1301",
                "content_moderation",
                "invalid_prompt",
                "guardrail_intervened",
                "recitation",
                "input_moderation",
                "output_moderation",
                "inputimagesensitivecontentdetected",
                "content_blocked",
                "guardrail",
                "sensitive",
                "image_safety",
                "refusal",
                "content_filtered",
                "image_prohibited_content",
            ),
            said(
                "safety|content policy|content policies|content management policy|content filter|content filtering|moderation|usage policy|usage policies|responsible ai|acceptable use|inappropriate|sensitive|harmful|unsafe|policy violation|content violation|guardrail|guardrails|prohibited|risk|violates our|content exists|violating our|copyright|recitation",
                "exists|reject|rejected|flagged|filtered|blocked|violat|violates|refused|triggered|potentially|detected|contain|contains|not allowed|high risk|failed|declined",
            ),
            said(
                "\u5ba1\u6838|\u654f\u611f|\u8fdd\u89c4|\u5b89\u5168|\u4e0d\u5f53|\u98ce\u63a7|\u8fdd\u53cd|\u98ce\u9669",
                "\u5185\u5bb9|\u8f93\u5165|\u8f93\u51fa|prompt|\u6587\u672c|\u56fe\u7247|\u7528\u6237|\u8bf7\u6c42",
            ),
            said(
                "input|output|prompt|request|image|text", "was flagged|flagged as|inappropriate content|sensitive words"
            ),
            shown(lambda seen: bool(_finish(seen)), "the answer ended because of a content filter", Basis.NAMED),
        ),
    ),
    outranks=(
        "request.invalid_parameter",
        "auth.permission",
        "service.stream_error",
        "service.model_error",
        "edge.blocked",
    ),
)
