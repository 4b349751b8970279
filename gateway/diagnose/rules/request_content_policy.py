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
                "content_filter|content_policy_violation|moderation_blocked|responsibleaipolicyviolation|"
                "data_inspection_failed|datainspectionfailed|safety|prohibited_content|blocklist|spii|"
                "public_error_unsafe_generation|content_policy|sensitive_content|risk_control|image_safety|"
                "image_content_policy_violation|contentfilter|sensitivecontentdetected|"
                "inputtextsensitivecontentdetected|outputtextsensitivecontentdetected|new_sensitive|1301|"
                "content_moderation|invalid_prompt|guardrail_intervened|recitation|input_moderation|"
                "output_moderation|inputimagesensitivecontentdetected|content_blocked|guardrail|sensitive|"
                "image_safety|refusal|content_filtered|image_prohibited_content"
            ),
            said(
                "safety|content policy|content policies|content management policy|content filter|"
                "content filtering|moderation|usage policy|usage policies|responsible ai|acceptable use|"
                "inappropriate|sensitive|harmful|unsafe|policy violation|content violation|guardrail|guardrails|"
                "prohibited|risk|violates our|content exists|violating our|copyright|recitation",
                "exists|reject|rejected|flagged|filtered|blocked|violat|violates|refused|triggered|potentially|"
                "detected|contain|contains|not allowed|high risk|failed|declined",
            ),
            said(
                "审核|敏感|违规|安全|不当|风控|违反|风险",
                "内容|输入|输出|prompt|文本|图片|用户|请求",
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
