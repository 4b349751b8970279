"""The certificates an app must trust while it goes through us: the system's, those its user chose, and ours.

Most runtimes take one file *instead of* their own list, so the file must hold all three. Text only: no cryptography is
imported here, because ``whygate run`` does this before every command.
"""

import re
import ssl
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gateway import files
from gateway.state import State, StateError

FILE_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL: Python's ssl, httpx, Ruby, PHP; on Linux also Go, .NET, Rust's native roots
    "REQUESTS_CA_BUNDLE",  # Python's requests
    "CURL_CA_BUNDLE",  # curl, and requests when the one above is missing
    "NODE_EXTRA_CA_CERTS",  # Node.js and Bun; adds to the built-in list
    "DENO_CERT",  # Deno; adds to the built-in list
    "GIT_SSL_CAINFO",  # git over https
    "AWS_CA_BUNDLE",  # botocore and the AWS command line
    "HTTPLIB2_CA_CERTS",  # httplib2
    "PIP_CERT",  # pip
    "CARGO_HTTP_CAINFO",  # cargo
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC's C core: Python, C++, Ruby, PHP
    "NIX_SSL_CERT_FILE",  # programs from nixpkgs
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  # gcloud
)
"""Each names one PEM file. Set for the child, and read for what its user had chosen before."""

_DISTRIBUTIONS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS, OpenBSD
)
_MARK = b"# whygate local CA"
_BLOCK = re.compile(rb"(# whygate local CA\s+)?(-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----)")


def bundle(state: State, env: Mapping[str, str]) -> Path:
    """Give the merged file, written anew when what goes into it has changed.

    Args:
        state: Where ours is, and where the merged file goes.
        env: The environment the app would have had; its own certificate files are merged in.

    Raises:
        StateError: Our certificate does not exist yet, or the directory cannot be written.
    """
    try:
        ours = state.ca_pem.read_bytes()
    except OSError as exc:
        what = f"The authority's certificate cannot be read ({exc.strerror})"
        raise StateError(what, state.ca_pem, "Start a gateway once: whygate start") from exc
    others = {certificate: None for certificate in _others(env) if certificate != _normal(ours)}
    merged = b"\n".join((_MARK, ours.strip(), *others)) + b"\n"
    path = state.ca_bundle_pem
    if not path.is_file() or path.read_bytes() != merged:
        files.replace(path, merged, files.PUBLIC_FILE)
    _write_php_settings(path)
    return path


def php_settings(bundle: Path) -> Path:
    """Give the directory of the settings that make PHP's curl, which reads no variable for that, trust the bundle."""
    return bundle.with_name("php")


def upstream_roots(state: State, chosen: Iterable[Path]) -> Path:
    """Give one file with the configured certificates and the system's, for parts that take one file and no list."""
    pems = [pem for path in chosen if (pem := _read(path)) is not None]
    merged = dict.fromkeys(certificate for pem in (*pems, _system()) for certificate in _certificates(pem))
    path = state.directory / "upstream-ca.pem"
    files.replace(path, b"\n".join(merged) + b"\n", files.PUBLIC_FILE)
    return path


def unreadable_choices(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give the variables that name a certificate file which cannot be read, with that file."""
    return [(name, env[name]) for name in FILE_VARIABLES if env.get(name) and _read(Path(env[name])) is None]


def system_roots() -> int | None:
    """Give how many certificates the system's list holds; None where it is no list in a file."""
    paths = ssl.get_default_verify_paths()
    for path in (paths.openssl_cafile, *_DISTRIBUTIONS):
        found = _read(Path(path)) or b""
        if count := found.count(b"-----BEGIN CERTIFICATE-----"):
            return count
    folder = Path(paths.openssl_capath)
    return None if sys.platform != "linux" or (folder.is_dir() and any(folder.iterdir())) else 0


def holds(path: Path, certificate: Path) -> bool:
    """Whether a bundle holds a certificate. False when either cannot be read."""
    ours = [_normal(one) for one in certificates_in(_read(certificate) or b"")]
    return bool(ours) and ours[0] in {_normal(one) for one in certificates_in(_read(path) or b"")}


def system_file() -> Path | None:
    """Give the file in which the system keeps its list, None where it has none."""
    found = (Path(one) for one in (ssl.get_default_verify_paths().openssl_cafile, *_DISTRIBUTIONS))
    return next((path for path in found if path.is_file()), None)


def certificates_in(pem: bytes) -> Iterator[bytes]:
    """Give each certificate of a bundle as PEM."""
    for match in _BLOCK.finditer(pem):
        yield match[2]


def _write_php_settings(bundle: Path) -> None:
    directory = php_settings(bundle)
    path, wanted = directory / "whygate.ini", f'curl.cainfo="{bundle}"\nopenssl.cafile="{bundle}"\n'.encode()
    if _read(path) != wanted:
        files.make_private_directory(directory)
        files.replace(path, wanted, files.PUBLIC_FILE)


def _others(env: Mapping[str, str]) -> Iterator[bytes]:
    """Give the user's certificates, then the system's, in a form that compares equal for equal certificates."""
    chosen = dict.fromkeys(env[name] for name in FILE_VARIABLES if env.get(name))
    for path in chosen:
        # When a shell took its variables from us, this is our own file. It still holds what that user had chosen.
        yield from _certificates(_read(Path(path)) or b"")
    yield from _certificates(_system())


def _certificates(pem: bytes) -> Iterator[bytes]:
    """Give each certificate, leaving out any authority of ours: a removed one must not stay trusted."""
    for match in _BLOCK.finditer(pem):
        if not match[1]:
            yield _normal(match[2])


def _normal(pem: bytes) -> bytes:
    return b"\n".join(line.strip() for line in pem.strip().splitlines())


def _system() -> bytes:
    built_in = ssl.get_default_verify_paths().openssl_cafile
    for path in (built_in, *_DISTRIBUTIONS):
        found = _read(Path(path))
        if found and b"BEGIN CERTIFICATE" in found:
            return found
    with suppress(ImportError):
        import certifi  # noqa: PLC0415  (only where the system keeps no such file)

        return certifi.contents().encode()
    return b""


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
