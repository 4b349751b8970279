"""Who signs certificates here: a public CA, and the CAs of products that inspect. Kept in files, made when asked for."""

import datetime as dt
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

# cryptography and trustme are imported where they are used: most worlds find every certificate in its file.

ISSUERS: dict[str, dict[str, str]] = {
    "public": {"O": "Simulated Trust Services", "CN": "Simulated Root R1"},
    "intermediate": {"O": "Simulated Trust Services", "CN": "WE1"},
    "zscaler": {"O": "Zscaler Inc.", "OU": "Zscaler Inc.", "CN": "Zscaler Intermediate Root CA (zscloud.net)"},
    "netskope": {"O": "Netskope Inc.", "OU": "certadmin@netskope.com", "CN": "ca.firm.goskope.com"},
    "fortigate": {"O": "Fortinet", "OU": "Certificate Authority", "CN": "FG100FTK20012345"},
    "paloalto": {"O": "Palo Alto Networks", "CN": "decrypt.paloaltonetworks.com"},
    "sophos": {"O": "Sophos", "OU": "NSG", "CN": "Sophos SSL CA_C01001ABCDEFGH1"},
    "umbrella": {"O": "Cisco", "CN": "Cisco Umbrella Root CA"},
    "kaspersky": {"O": "AO Kaspersky Lab", "CN": "Kaspersky Anti-Virus Personal Root Certificate"},
    "eset": {"O": "ESET, spol. s r. o.", "CN": "ESET SSL Filter CA"},
    "avast": {"O": "Avast Web/Mail Shield", "CN": "Avast Web/Mail Shield Root"},
    "pfblockerng": {"O": "pfBlockerNG DNSBL Self-Signed Certificate", "CN": "pfSense-pfBNG-DNSBL-5f0000"},
    "aruba-portal": {"O": "Aruba Networks", "CN": "securelogin.arubanetworks.com"},
    "unknown-firm": {"O": "Example Firm", "CN": "Example Firm Web Gateway CA"},
}
"""Subjects as they are met in the field; the last one is of nobody that a list could know."""


class Authorities:
    """All of them, in one directory that several processes may share.

    Args:
        directory: Where the files stand; made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def bundle(self, trusted: Sequence[str] = ()) -> bytes:
        """Give what a machine trusts: the public CA and these, PEM."""
        return b"".join(self._read(issuer)[1] for issuer in ("public", *trusted))

    def leaf(self, issuer: str, kind: str, names: Sequence[str]) -> Path:
        """Give a server's private key and chain, one PEM file.

        Args:
            issuer: One of `ISSUERS`; ``public`` signs by its intermediate.
            kind: ``good``, ``expired``, ``future``, ``self-signed`` or ``incomplete`` (the leaf alone).
            names: Host names and addresses.
        """
        file = self._directory / f"{issuer}-{kind}-{names[0].replace(':', '_').replace('*', '_')}-{len(names)}.pem"
        if not file.exists():
            _write(file, self._issue(issuer, kind, names))
        return file

    def _issue(self, issuer: str, kind: str, names: Sequence[str]) -> bytes:
        import trustme

        if kind == "self-signed":
            return b"".join(_made({"CN": names[0]}, None, names))
        key, certificate = self._read("intermediate" if issuer == "public" else issuer)
        now = dt.datetime.now(dt.UTC)
        days = {"expired": (-90, -3), "future": (3, 90)}.get(kind, (-30, 60))
        leaf = trustme.CA.from_pem(certificate, key).issue_cert(
            *names,
            common_name=names[0] if len(names[0]) <= 64 else None,
            not_before=now + dt.timedelta(days[0]),
            not_after=now + dt.timedelta(days[1]),
        )
        chain = [leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()]
        return b"".join(chain if kind == "incomplete" else [*chain, certificate])

    def _read(self, issuer: str) -> tuple[bytes, bytes]:
        """Give an issuer's key and certificate, PEM; made by whoever comes first."""
        file = self._directory / f"{issuer}.pem"
        if not file.exists():
            parent = self._read("public") if issuer == "intermediate" else None
            with (self._directory / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not file.exists():
                    _write(file, b"".join(_made(ISSUERS[issuer], parent)))
        end = b"-----END PRIVATE KEY-----\n"
        key, _, certificate = file.read_bytes().partition(end)
        return key + end, certificate


def _write(file: Path, data: bytes) -> None:
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_bytes(data)
    new.rename(file)


def _made(
    subject: dict[str, str], parent: tuple[bytes, bytes] | None, names: Sequence[str] = ()
) -> tuple[bytes, bytes]:
    """Make a CA, or with ``names`` a server's certificate that signed itself; key and certificate, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    short = {
        "O": x509.NameOID.ORGANIZATION_NAME,
        "OU": x509.NameOID.ORGANIZATIONAL_UNIT_NAME,
        "CN": x509.NameOID.COMMON_NAME,
    }
    name = x509.Name([x509.NameAttribute(short[kind], value) for kind, value in subject.items()])
    signer, issuer = _loaded(parent) if parent else (key, name)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(365))
        .not_valid_after(now + dt.timedelta(365))
        .add_extension(x509.BasicConstraints(not names, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    else:
        builder = builder.add_extension(_key_usage(), critical=True)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, builder.sign(signer, hashes.SHA256()).public_bytes(pem)


def _loaded(parent: tuple[bytes, bytes]) -> "tuple[ec.EllipticCurvePrivateKey, x509.Name]":
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_private_key(parent[0], None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key, x509.load_pem_x509_certificate(parent[1]).subject


def _key_usage() -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
