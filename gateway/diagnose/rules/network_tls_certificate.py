"""The certificate is genuine, and wrong here: expired, not yet valid, of another name, or without its chain."""

from gateway.diagnose.authorities import is_default, is_public
from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, hinted, only, said, shown
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_TLS_CERTIFICATE,
    match=first(
        hinted("curl 51 ", "curl error 51 "),
        failed(NetCode.TLS_CERTIFICATE),
        shown(
            lambda seen: is_default(seen.issuer_text),
            "the certificate is the one that a server makes when it has none",
            Basis.NAMED,
        ),
        heard(
            "causedasendentity|ca used as end entity|certificate for this server is invalid|"
            "server that is pretending|certificate is not standards compliant"
        ),
        only(lambda seen: is_public(seen.issuer_text), heard("can not verify", "certificate")),
        heard(
            "certificate has expired|cert has expired|certificate expired|not yet valid|cert not yet valid|"
            "hostname mismatch|hostname/ip does not match|does not match certificate|altname invalid|"
            "common name invalid|err cert common name|err cert date|cert date invalid|name mismatch|"
            "doesn't match|does not match|no alternative certificate subject name|certificate is valid for|"
            "no subject alternative|certificate has been revoked|certnotvalidforname|"
            "certificate is not valid for|notbefore|expired or is not yet valid|certificate not valid|"
            "no name matching|wrong principal|subject name|subjectaltname|cert date|ist abgelaufen|证书已过期|"
            "unable to verify the first certificate chain|clock|remotecertificatenamemismatch|"
            "remote certificate name mismatch|certificate revoked|validity period",
            "cert|certificate|hostname|host|name|altname|clock|证书|valid|subject",
        ),
        said(
            "certificate",
            "expired|not yet valid|name mismatch|does not match|issuer ca not known|chain|unable to get issuer|"
            "unable to get local issuer|self signed",
        ),
        only(
            lambda seen: (
                is_public(seen.issuer_text)
                and seen.issuer is None
                and (
                    seen.failed(NetCode.TLS_UNTRUSTED_ISSUER)
                    or seen.words.has(
                        "unable to get", "unable to verify", "first certificate", "incomplete", "locally verify"
                    )
                )
            ),
            shown(lambda _seen: True, "a public authority signed it, and the chain to it is incomplete", Basis.NAMED),
        ),
        only(
            lambda seen: (
                is_public(seen.evidence.certificate.issuer) and not seen.evidence.exception and seen.issuer is None
            ),
            shown(
                lambda seen: bool(seen.evidence.certificate.subject), "a public authority signed it, for another name"
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=(
        "network.tls_inspection",
        "network.tls_handshake",
        "network.connection_reset",
        "network.proxy_upstream_error",
        "service.",
        "network.blocked_page",
    ),
)
