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
                    "invalid_api_key|invalidapikey|invalid_authentication_error|api_key_invalid|"
                    "token_not_found_in_db|incorrect_api_key|authenticationfailed|unrecognizedclientexception|"
                    "invalidsignatureexception|invalid_jwt|invalid_issuer|invalid_token|invalid_iam_token|"
                    "invalidsubscriptionkey|unauthorizedaccess"
                ),
                unless(
                    said("json|invalid character|looking for beginning|object key"),
                    said(
                        "api key|apikey|key |token |access token|tokens are|credential|credentials|"
                        "authentication|access key|secret|bearer|signature|令牌|密钥|认证|鉴权|api key|api-key",
                        "invalid|incorrect|not valid|wrong|unknown|not found|unable to find|fails|failed|"
                        "could not be validated|not recognized|could not parse|not from a valid|does not exist|"
                        "no such user|bad|unauthorized|mismatch|无效|错误|不正确|不存在|失败",
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
