"""An old library meets a newer one, or speaks an API that was removed."""

from gateway.diagnose.rule import Layer, Rule, first, heard, in_status, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_OUTDATED_SDK,
    match=first(
        only(
            in_status(4),
            said(
                "upgrade to the latest|requires a newer version|update to the latest|newer version of|"
                "please upgrade|please update",
                "app |apps|cli |client |sdk|codex|claude code|version of",
            ),
        ),
        heard("unexpected keyword argument", "proxies|init|http client|client"),
        heard(
            "you tried to access openai|no longer supported in openai|openai 1.0|openai migrate|"
            "not supported in openai>=1|is no longer supported in openai|apiremovedinv1|api removed"
        ),
        heard(
            "module openai has no attribute|has no attribute chatcompletion|has no attribute completion|"
            "can not import name",
            "openai|anthropic|chatcompletion|completion|client",
        ),
        heard(
            "outdated|upgrade|deprecated|too old|unsupported version|update",
            "sdk|library|package|client version|cli version|npm install|pip install",
        ),
        only(
            in_status(4),
            said(
                "client version|sdk version|your client|this version of|app version|your version",
                "outdated|no longer supported|upgrade|update|too old|not supported|newer version",
            ),
        ),
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("network.", "request.", "auth.permission", "account.plan_required"),
)
