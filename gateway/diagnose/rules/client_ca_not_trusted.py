"""The app does not trust the certificate of this gateway, or of another intercepting proxy on this machine."""

from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, shown, unless
from gateway.model.cause import Cause

_OURS = ("mitmproxy", "whygate")

RULE = Rule(
    cause=Cause.CLIENT_CA_NOT_TRUSTED,
    match=unless(
        heard(
            "legacy renegotiation|unsupported protocol|no shared cipher|handshake failure|protocol version|"
            "can not agree on a tls version"
        ),
        first(
            heard(
                "client does not trust the proxy's certificate|does not trust the proxy|client does not trust|"
                "client tls handshake failed",
                "trust|unknown ca|bad certificate|disconnected during the handshake|certificate unknown",
            ),
            heard(
                "mitmproxy|whygate|charles|fiddler|burp|proxyman|http toolkit|portswigger",
                "certificate|cert|self signed|unknown ca|verify|trust|issuer",
            ),
            shown(
                lambda seen: any(name in seen.evidence.certificate.issuer.lower() for name in _OURS),
                "the certificate is this gateway's",
                Basis.NAMED,
            ),
        ),
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("network.", "client.disconnected"),
)
