"""The app hung up before the answer had ended."""

from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, in_status, only, shown, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_DISCONNECTED,
    match=first(
        shown(lambda seen: seen.evidence.client_left, "the app closed its connection", Basis.NAMED),
        unless(heard("secure channel"), heard("request was aborted")),
        heard(
            "client disconnected|client closed request|aborterror|user aborted|request aborted by|"
            "canceled by the user|context canceled|operation was canceled|cancelled by client|keyboardinterrupt|"
            "cancellederror"
        ),
        only(in_status(499), shown(lambda _seen: True, "status 499, which servers write when the caller has gone")),
    ),
    layer=Layer.NETWORK,
    authors=None,
)
