"""Our certificate authority: made once on this machine, for this machine, and never made again over an existing one.

Apps that were told to trust it would all fail if it changed, so every doubt about its two files stops the start and
says which command settles it.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway import files
from gateway.state import State, StateError
from gateway.trust import bundle

__all__ = ["Authority", "bundle", "load_or_create"]

VALID_FOR = timedelta(days=3_652)
"""Ten years: trust was given by hand, and asking for it again each year teaches people to click it away."""
_BACKDATED = timedelta(days=1)
"""A container or a virtual machine on this host may have a clock that is behind."""
_KEY_BITS = 2_048
_NAME_MAX = 64
"""Upper bound of a common name. Source: RFC 5280, appendix A.1 (ub-common-name-length)."""
_START_OVER = "whygate ca remove   (a new one is made at the next start; apps must then trust that one)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The certificate that apps trust, and the key that signs for it.

    Attributes:
        fingerprint_sha256: Upper-case hexadecimal pairs with colons, as browsers and openssl show it.
        not_after: UTC.
    """

    certificate_pem: bytes
    key_pem: bytes
    certificate: x509.Certificate
    fingerprint_sha256: str
    not_after: datetime

    def __repr__(self) -> str:
        """Leave the key out of logs."""
        return f"Authority({self.fingerprint_sha256})"


def load_or_create(state: State, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Authority:
    """Give the authority of this installation, making it when neither of its files exists.

    Raises:
        StateError: One file is missing, unreadable, damaged, expired, open to others, or does not fit the other.
            Nothing is changed then.
    """
    here = state.ca_key.is_symlink() or state.ca_key.exists(), state.ca_pem.is_symlink() or state.ca_pem.exists()
    if here == (False, False):
        _create(state, now())
    elif here == (True, False):
        fix = f"Put {state.ca_pem} back from a backup, or start over: {_START_OVER}"
        raise StateError("The authority's certificate is missing beside its key", state.ca_pem, fix)
    elif here == (False, True):
        fix = f"Put {state.ca_key} back from a backup, or start over: {_START_OVER}"
        raise StateError("The authority's key is missing beside its certificate", state.ca_key, fix)
    return _load(state, now())


def _create(state: State, now: datetime) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
    certificate = _self_signed(key, now)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        files.create(state.ca_key, key_pem, files.PRIVATE_FILE)
        files.create(state.ca_pem, certificate.public_bytes(serialization.Encoding.PEM), files.PUBLIC_FILE)
    except FileExistsError as exc:
        what = "Another process is making the authority right now"
        raise StateError(what, exc.filename, "Try again.") from exc


def _self_signed(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"whygate local CA {socket.gethostname()}"[:_NAME_MAX]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "whygate"),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    start = now - _BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID_FOR)
        # It signs servers' certificates, no further authorities.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs_certificates(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _load(state: State, now: datetime) -> Authority:
    key_pem = files.read_private(state.ca_key)
    certificate_pem = files.read_private(state.ca_pem, secret=False)
    key = _read_key(key_pem, state.ca_key)
    certificate = _read_certificate(certificate_pem, state.ca_pem)
    if key.public_key() != certificate.public_key():
        fix = f"Put back the pair that belongs together, or start over: {_START_OVER}"
        raise StateError("The authority's key does not belong to its certificate", state.ca_key, fix)
    not_after = certificate.not_valid_after_utc
    if not_after <= now:
        raise StateError(f"The authority expired on {not_after:%Y-%m-%d}", state.ca_pem, _START_OVER)
    if certificate.not_valid_before_utc > now:
        what = f"The authority is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}, today is {now:%Y-%m-%d}"
        raise StateError(what, state.ca_pem, "Set this machine's clock.")
    return Authority(
        certificate_pem=certificate_pem,
        key_pem=key_pem,
        certificate=certificate,
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        not_after=not_after,
    )


def _read_key(pem: bytes, path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as exc:
        fix = f"openssl pkey -in {path} -out {path}.plain, then put that in its place with mode 0600"
        raise StateError("The authority's key is encrypted", path, fix) from exc
    except ValueError as exc:
        fix = f"Put it back from a backup, or start over: {_START_OVER}"
        raise StateError("The authority's key is not a private key in PEM form", path, fix) from exc


def _read_certificate(pem: bytes, path: Path) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    except ValueError as exc:
        fix = f"Put it back from a backup, or start over: {_START_OVER}"
        raise StateError("The authority's certificate is not a certificate in PEM form", path, fix) from exc
    if not is_authority:
        fix = f"Put an authority's certificate there, or start over: {_START_OVER}"
        raise StateError("This certificate may not sign others, it is not an authority's", path, fix)
    return certificate
