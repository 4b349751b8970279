"""The credential is unknown there: mistyped, of another service, or never issued."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_INVALID_KEY,
    match=first(
        only(
            in_status(400, 401, 403, 0, 200, 500),
            first(
                named(
                    "invalid_api_key",
                    "invalidapikey",
                    "invalid_authentication_error",
                    "api_key_invalid",
                    "token_not_found_in_db",
                    "incorrect_api_key",
                    "authenticationfailed",
                    "unrecognizedclientexception",
                    "invalidsignatureexception",
                    "invalid_jwt",
                    "invalid_issuer",
                    "invalid_token",
                    "invalid_iam_token",
                    "invalidsubscriptionkey",
                    "unauthorizedaccess",
                ),
                unless(
                    said("json|invalid character|looking for beginning|object key"),
                    said(
                        "api key|apikey|key |token |access token|tokens are|credential|credentials|authentication|access key|secret|bearer|signature|\u4ee4\u724c|\u5bc6\u94a5|\u8ba4\u8bc1|\u9274\u6743|api key|api-key",
                        "invalid|incorrect|not valid|wrong|unknown|not found|unable to find|fails|failed|could not be validated|not recognized|could not parse|not from a valid|does not exist|no such user|bad|unauthorized|mismatch|\u65e0\u6548|\u9519\u8bef|\u4e0d\u6b63\u786e|\u4e0d\u5b58\u5728|\u5931\u8d25",
                    ),
                ),
            ),
        ),
        only(
            in_status(401), said("unauthorized|invalid username|invalid password|authenticate|login fail|login failed")
        ),
        status(401),
    ),
    general=1,
    reads_pages=True,
)
