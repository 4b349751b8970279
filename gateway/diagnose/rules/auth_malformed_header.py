"""A credential is there, but not in the form of one."""

from gateway.diagnose.rule import Basis, Rule, first, heard, in_status, named, only, said, shown
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_MALFORMED_HEADER,
    match=first(
        heard(
            "illegal header value|invalid header value|invalid character in header content|header value contains|"
            "err invalid char"
        ),
        only(
            in_status(400, 401, 403, 422),
            first(
                shown(
                    lambda seen: seen.evidence.call.credential in {"bare", "blank"},
                    "the credential header stands there without its scheme, or with white space in it",
                    Basis.NAMED,
                ),
                named("malformed_header|incompletesignatureexception|invalid_authorization_header|invalid_header"),
                said(
                    "header|authorization|bearer|token format|credential",
                    "format should be|invalid authorization header|malformed|must be in the format|"
                    "must start with bearer|should start with|expected bearer|expected format|bearer prefix|"
                    "not a valid bearer|illegal header|invalid format|incorrectly formatted|must begin with|"
                    "format is|needs to be bearer|格式",
                ),
                said("illegal header value|invalid header value|invalid character in header"),
            ),
        ),
    ),
    outranks=("service.protocol_error", "auth.invalid_key", "auth.missing_key", "request.invalid_parameter"),
)
