"""The two sides agree on no protocol or cipher."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_TLS_HANDSHAKE,
    match=first(
        hinted("curl 35 ", "curl error 35 "),
        failed(NetCode.TLS_HANDSHAKE),
        failed(NetCode.TLS_REFUSED),
        heard(
            "unsupported or unrecognized ssl message|plaintext connection|h2 is not supported|alpn|"
            "handshake failure|alert handshake failure|no protocols available|unsupported protocol|"
            "protocol version|alert protocol version|no shared cipher|no cipher|legacy renegotiation|"
            "legacy sigalg|dh key too small|inappropriate fallback|tlsv1 alert|sslv3 alert|ssl version or cipher|"
            "version or cipher mismatch|err ssl version|tls alert|decrypt error|bad record mac|eproto|"
            "wrong version number|record layer failure|does not look like a tls handshake|err ssl protocol error|"
            "ssl protocol error|ssl routines|no application protocol|received fatal alert|internal error alert|"
            "unexpected message|illegal parameter|handshakefailure|could not create ssl tls secure channel|"
            "schannel|ssl connect error|tls connect error|unrecognized name"
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
)
