"""The certificates that apps get: the system's, their user's, and ours."""

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from gateway.authority import load_or_create
from gateway.state import State, StateError
from gateway.trust import bundle, certificates_in, php_settings, unreadable_choices, upstream_roots
from gateway.trust_java import PASSWORD, java_truststore


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Make a directory with an authority."""
    state = State.open(tmp_path / "state")
    load_or_create(state)
    return state


@pytest.fixture
def company_ca(tmp_path: Path) -> Path:
    """Make what a company hands out."""
    other = State.open(tmp_path / "company")
    load_or_create(other)
    return other.ca_pem


def names_in(file: Path) -> list[str]:
    """Ask OpenSSL what it reads."""
    context = ssl.create_default_context(cafile=file)
    return [str(entry["subject"]) for entry in context.get_ca_certs()]


def test_it_holds_the_systems_the_users_and_ours(state: State, company_ca: Path) -> None:
    """Each once."""
    merged = bundle(state, {"REQUESTS_CA_BUNDLE": str(company_ca), "SSL_CERT_FILE": str(company_ca)})
    names = names_in(merged)
    assert sum("whygate" in name for name in names) == 2
    assert len(names) > 50
    text = merged.read_bytes()
    assert text.count(company_ca.read_bytes().strip()) == 1
    assert text.count(state.ca_pem.read_bytes().strip()) == 1


def test_it_is_written_only_when_something_changed(state: State, company_ca: Path) -> None:
    """Programs that read it now must not find it half there."""
    first = bundle(state, {}).stat()
    again = bundle(state, {}).stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert bundle(state, {"NODE_EXTRA_CA_CERTS": str(company_ca)}).stat().st_ino != first.st_ino


def test_a_second_env_in_the_same_shell_keeps_what_the_user_had(state: State, company_ca: Path) -> None:
    """By then the variable names our own file."""
    merged = bundle(state, {"SSL_CERT_FILE": str(company_ca)})
    again = bundle(state, {"SSL_CERT_FILE": str(merged)})
    assert company_ca.read_bytes().strip() in again.read_bytes()
    assert again.read_bytes().count(b"# whygate local CA") == 1


def test_a_removed_authority_does_not_stay_trusted(state: State) -> None:
    """Not even through a shell that still names the old file."""
    merged = bundle(state, {})
    old = state.ca_pem.read_bytes().strip()
    state.ca_pem.unlink()
    state.ca_key.unlink()
    load_or_create(state)
    assert old not in bundle(state, {"SSL_CERT_FILE": str(merged)}).read_bytes()


def test_without_an_authority_it_says_how_to_get_one(tmp_path: Path) -> None:
    """No file, no bundle."""
    with pytest.raises(StateError, match="whygate start"):
        bundle(State.open(tmp_path / "empty"), {})


def test_a_choice_that_cannot_be_read_is_named(state: State) -> None:
    """It broke the app before us; now it is said."""
    env = {"SSL_CERT_FILE": "/nonexistent.pem", "PIP_CERT": str(state.ca_pem)}
    assert unreadable_choices(env) == [("SSL_CERT_FILE", "/nonexistent.pem")]
    assert bundle(state, env).exists()


@pytest.mark.skipif(shutil.which("keytool") is None, reason="no Java here")
def test_java_reads_its_trust_store(state: State) -> None:
    """As many entries, ours among them."""
    store = java_truststore(state, bundle(state, os.environ))
    command = ["keytool", "-list", "-keystore", str(store), "-storepass", PASSWORD]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert load_or_create(state).fingerprint_sha256 in listed
    assert listed.count("trustedCertEntry") > 50


def test_what_upstreams_are_trusted_by_holds_the_configured_and_the_systems_but_not_ours(
    state: State, company_ca: Path
) -> None:
    """Nobody upstream may show a certificate of ours."""
    merged = upstream_roots(state, (company_ca, company_ca))
    assert merged is not None
    names = names_in(merged)
    assert sum("whygate" in name for name in names) == 1  # the company's, made the same way
    assert len(names) > 50
    assert state.ca_pem.read_bytes().strip() not in merged.read_bytes()


def test_without_a_configured_certificate_the_file_holds_the_systems(state: State) -> None:
    assert len(list(certificates_in(upstream_roots(state, ()).read_bytes()))) > 50


def test_php_is_told_of_the_bundle_beside_its_own_settings(state: State) -> None:
    merged = bundle(state, {})
    php = shutil.which("php")
    if php is None:
        pytest.skip("php is not installed: apt-get install php-cli")
    env = {"PHP_INI_SCAN_DIR": f":{php_settings(merged)}"}
    show = 'echo ini_get("openssl.cafile"), " ", php_ini_scanned_files();'
    done = subprocess.run([php, "-r", show], env=env, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.startswith(f"{merged} ")
    assert str(php_settings(merged) / "whygate.ini") in done.stdout
