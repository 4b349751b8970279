"""The credential was good once: expired, revoked, rotated, disabled, or reported as leaked."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_EXPIRED_KEY,
    match=first(
        said("refresh token", "already been used|reused|expired|revoked|invalid"),
        only(
            in_status(400, 401, 403, 0),
            first(
                named(
                    "token_expired",
                    "token_revoked",
                    "token_invalidated",
                    "access_token_expired",
                    "expiredtokenexception",
                    "api_key_expired",
                    "expired_api_key",
                    "key_expired",
                    "key_disabled",
                    "api_key_disabled",
                    "refresh_token_reused",
                    "invalid_grant",
                    "expired_token",
                    "expiredtoken",
                    "revoked_api_key",
                ),
                said(
                    "api key|apikey|key|token|credential|credentials|session|secret|\u4ee4\u724c|\u5bc6\u94a5",
                    "expired|revoked|disabled|is blocked|deleted|rotated|invalidated|leaked|compromised|deactivated|has been suspended|inactive|no longer valid|no longer active|\u8fc7\u671f|\u5931\u6548|\u7981\u7528|\u5220\u9664|\u5df2\u88ab",
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
