"""No credential came along. A header that is there without its scheme is `auth.malformed_header`."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import Basis, Rule, first, heard, named, only, said, shown, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_MISSING_KEY,
    match=first(
        heard(
            "api key|apikey|credentials|api token|auth token",
            "must be set|is not set|not set|environment variable|no api key|missing|not provided|must be provided",
        ),
        only(
            lambda seen: (
                seen.status in {400, 401, 403, 407}
                and seen.evidence.call.credential == "none"
                and not seen.by(Kind.EDGE)
            ),
            shown(
                lambda seen: (
                    seen.status == 401
                    or seen.message.has("authentication", "authorization", "api key", "credential", "unauthorized")
                ),
                "the request carried no credential",
                Basis.NAMED,
            ),
        ),
        only(
            lambda seen: seen.status in {400, 401, 403, 0} and seen.evidence.call.credential in {"", "none"},
            first(
                named(
                    "credentials_missing|missing_api_key|missing_authentication|missing_token|"
                    "missing_authorization|authorization_required|no_api_key|missingauthenticationtokenexception|"
                    "apikeymissing|api_key_missing|missing_key"
                ),
                unless(
                    said("mismatch|expired|valid api key|max tokens|maxtokens"),
                    first(
                        said(
                            "api key|apikey|x api key|authentication|authorization|credential|credentials|bearer|"
                            "subscription key|access token|auth header|token |令牌|密钥|认证|鉴权",
                            "did not provide|failed to get|missing|no api key|is required|are required|"
                            "not provided|required|no auth|no cookie auth|absent|not found in|must provide|"
                            "please provide|must be provided|need to provide|no authorization|without|"
                            "not supplied|not set|is empty|未提供|缺少|未携带|为空",
                        ),
                        said(
                            "unregistered callers|no auth credentials|no credentials|login required|"
                            "please log in|please sign in to use|not logged in|not authenticated|"
                            "unauthenticated request"
                        ),
                    ),
                ),
            ),
        ),
    ),
    outranks=("auth.invalid_key", "auth.permission", "request.missing_parameter", "request.invalid_parameter"),
)
