"""Somebody on the path signed the certificate anew; most companies use a name of their own."""

from gateway.diagnose.authorities import is_default, is_public
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, hinted, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause
from gateway.model.failure import NetCode


def _wrong(seen: Observation) -> bool:
    return seen.words.has("expired", "not yet valid", "hostname mismatch", "does not match")


RULE = Rule(
    cause=Cause.NETWORK_TLS_INSPECTION,
    match=first(
        hinted("curl 60 ", "curl error 60 "),
        shown(
            lambda seen: (
                seen.issuer is not None and seen.issuer.means in {Means.INSPECTION, Means.BLOCK, Means.PRESENCE}
            ),
            "the issuer of the certificate is a product's",
            Basis.NAMED,
        ),
        shown(
            lambda seen: (
                bool(seen.issuer_text)
                and not is_default(seen.issuer_text)
                and not is_public(seen.issuer_text)
                and not _wrong(seen)
            ),
            "the issuer of the certificate is no public authority",
        ),
        failed(NetCode.TLS_UNTRUSTED_ISSUER),
        heard(
            "远程证书无效|remotezertifikat|remote certificate is invalid|certificat distant|certificado remoto|"
            "certificato remoto|リモート証明書|удаленный сертификат|no revocation check|crypt e revocation|"
            "cert signature failure|nicht vertrauenswürdigen|locally verify|errors in the certificate chain|"
            "revocation status unknown|self signed certificate|self-signed certificate|selfsigned|"
            "self signed cert in chain|unable to get local issuer|unable to get issuer|"
            "unable to verify the first certificate|unable to verify leaf signature|depth zero self signed|"
            "unable to find valid certification path|pkix path building|unknown authority|signed by unknown|"
            "unknown ca|unknownissuer|unknown issuer|certificate verify failed|cert authority invalid|"
            "err cert authority invalid|untrusted root|not trusted by the trust provider|partialchain|"
            "remote certificate chain|remotecertificatechainerrors|trust relationship|certificate is not trusted|"
            "not trusted|self signed|invalid peer certificate|sec error unknown issuer|certificate_verify_failed|"
            "certificateverifyfailed|ssl certificate problem|issuer is not recognized|cert untrusted|"
            "kein vertrauensw"
        ),
        heard(
            "zscaler|netskope|fortinet|fortigate|umbrella|palo alto|globalprotect|blue coat|bluecoat|mcafee|"
            "skyhigh|sophos|kaspersky|eset|avast|avg|bitdefender|forcepoint|websense|checkpoint|check point|"
            "barracuda|cloudflare warp|corporate proxy|corporate ssl|ssl inspection|tls inspection|mitm",
            "ssl|tls|cert|certificate|certs|inspection",
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=(
        "network.tls_handshake",
        "network.connection_reset",
        "network.tcp_timeout",
    ),
)
