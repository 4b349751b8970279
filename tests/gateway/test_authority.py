"""The certificate authority: made once, refused when in doubt, never overwritten."""

import shutil
import ssl
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.authority import load_or_create
from gateway.state import State, StateError

JUST_NOW = datetime.now(UTC)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Make a new directory."""
    return State.open(tmp_path / "state")


def test_it_is_made_once_with_private_files(state: State) -> None:
    """The second call reads what the first wrote."""
    first = load_or_create(state)
    assert load_or_create(state) == first
    assert stat.S_IMODE(state.ca_key.stat().st_mode) == 0o600
    assert not stat.S_IMODE(state.ca_pem.stat().st_mode) & 0o022
    assert state.ca_pem.read_bytes() == first.certificate_pem
    assert b"PRIVATE" not in first.certificate_pem
    assert "PRIVATE" not in repr(first)


def test_it_may_sign_servers_and_nothing_else(state: State) -> None:
    """Extensions as a strict verifier wants them."""
    certificate = load_or_create(state).certificate
    extensions = certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 0)
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert "whygate local CA" in certificate.subject.rfc4514_string()
    years = (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / timedelta(days=365.25)
    assert 9.9 < years < 10.1


def test_python_and_openssl_accept_it(state: State) -> None:
    """Also under the strict rules."""
    load_or_create(state)
    context = ssl.create_default_context(cafile=state.ca_pem)
    assert context.verify_mode is ssl.CERT_REQUIRED
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(state.ca_pem), str(state.ca_pem)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_two_installations_have_two_authorities(tmp_path: Path) -> None:
    """Nobody else's certificate is trusted with mine."""
    one, two = (load_or_create(State.open(tmp_path / name)) for name in "ab")
    assert one.fingerprint_sha256 != two.fingerprint_sha256


def a_second_authority(state: State) -> State:
    """One beside it."""
    other = State.open(state.directory.with_name("other"))
    load_or_create(other)
    return other


def encrypt(state: State) -> None:
    """Put a password on the key."""
    key = serialization.load_pem_private_key(state.ca_key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"x")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    state.ca_key.write_bytes(pem)


def link(path: Path) -> None:
    """Put a link in its place."""
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


SPOILT: dict[str, tuple[Callable[[State], object], str]] = {
    "key missing": (lambda s: s.ca_key.unlink(), "key is missing"),
    "certificate missing": (lambda s: s.ca_pem.unlink(), "certificate is missing"),
    "key is no PEM": (lambda s: s.ca_key.write_text("x"), "not a private key in PEM form"),
    "certificate is no PEM": (lambda s: s.ca_pem.write_text(""), "not a certificate in PEM form"),
    "key of another": (lambda s: shutil.copy(a_second_authority(s).ca_key, s.ca_key), "does not belong to"),
    "certificate of another": (lambda s: shutil.copy(a_second_authority(s).ca_pem, s.ca_pem), "does not belong to"),
    "key encrypted": (encrypt, "encrypted"),
    "key readable by the group": (lambda s: s.ca_key.chmod(0o640), "chmod 600"),
    "key readable by all": (lambda s: s.ca_key.chmod(0o604), "chmod 600"),
    "certificate writable by all": (lambda s: s.ca_pem.chmod(0o646), "chmod 644"),
    "key is a link": (lambda s: link(s.ca_key), "symbolic link"),
    "certificate is a link": (lambda s: link(s.ca_pem), "symbolic link"),
}


@pytest.mark.parametrize(("spoil", "told"), SPOILT.values(), ids=SPOILT)
def test_a_doubtful_authority_is_refused_and_left_alone(
    state: State, spoil: Callable[[State], object], told: str
) -> None:
    """What, where, the exact fix; no file changes."""
    load_or_create(state)
    spoil(state)
    before = {file: file.read_bytes() for file in state.directory.iterdir()}
    with pytest.raises(StateError, match=told) as caught:
        load_or_create(state)
    assert caught.value.where.startswith(str(state.directory))
    assert caught.value.fix
    assert {file: file.read_bytes() for file in state.directory.iterdir()} == before


@pytest.mark.parametrize(("days", "told"), [(3_700, "expired on"), (-30, "not valid before")])
def test_its_dates_are_checked(state: State, days: int, told: str) -> None:
    """An expired one fails every app at once, so it stops the start instead."""
    load_or_create(state)
    with pytest.raises(StateError, match=told):
        load_or_create(state, now=lambda: JUST_NOW + timedelta(days=days))


def test_a_certificate_that_may_not_sign_is_refused(state: State) -> None:
    """A server's certificate, for instance."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(state.ca_key), "-out",
         str(state.ca_pem), "-subj", "/CN=x", "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )  # fmt: skip
    state.ca_key.chmod(0o600)
    with pytest.raises(StateError, match="may not sign"):
        load_or_create(state)
