"""The credential was good once: expired, revoked, rotated, disabled, or reported as leaked."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_EXPIRED_KEY,
    match=first(
        said("refresh token", "already been used|reused|expired|revoked|invalid"),
        only(
            in_status(400, 401, 403, 0),
            first(
                named(
                    "token_expired|token_revoked|token_invalidated|access_token_expired|expiredtokenexception|"
                    "api_key_expired|expired_api_key|key_expired|key_disabled|api_key_disabled|"
                    "refresh_token_reused|invalid_grant|expired_token|expiredtoken|revoked_api_key"
                ),
                unless(
                    said("account|authentication", "deactivated|suspended|disabled"),
                    said(
                        "api key|apikey|key|token|credential|credentials|session|secret|令牌|密钥",
                        "expired|revoked|disabled|is blocked|deleted|rotated|invalidated|leaked|compromised|"
                        "deactivated|has been suspended|inactive|no longer valid|no longer active|过期|失效|禁用|"
                        "删除|已被",
                    ),
                ),
            ),
        ),
    ),
    outranks=(
        "auth.invalid_key",
        "service.",
        "auth.permission",
        "auth.missing_key",
        "account.deactivated",
        "request.invalid_parameter",
    ),
)
