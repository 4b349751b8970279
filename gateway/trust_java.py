"""The merged certificates as Java reads them: a PKCS#12 trust store."""

import warnings
from contextlib import suppress
from pathlib import Path

from gateway import files
from gateway.state import State
from gateway.trust import certificates_in

PASSWORD = "changeit"  # noqa: S105  (Java's own default; the store holds public certificates, but must have a password)


def java_truststore(state: State, bundle: Path) -> Path:
    """Give the trust store of a bundle, written anew when the bundle is newer."""
    store = state.java_truststore_p12
    if store.is_file() and store.stat().st_mtime_ns >= bundle.stat().st_mtime_ns:
        return store
    # Late: 130 ms that most runs do not need to pay.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12  # noqa: PLC0415

    entries = []
    for number, pem in enumerate(certificates_in(bundle.read_bytes())):
        # System lists hold old certificates that break today's rules; those are left out, not a reason to fail.
        with warnings.catch_warnings(action="ignore"), suppress(ValueError):
            certificate = x509.load_pem_x509_certificate(pem)
            entries.append(pkcs12.PKCS12Certificate(certificate, f"whygate-{number}".encode()))
    encryption = BestAvailableEncryption(PASSWORD.encode())
    files.replace(store, pkcs12.serialize_java_truststore(entries, encryption), files.PUBLIC_FILE)
    return store
