"""TLS settings of servers whose certificates must not be believed, each for one reason; for `tls_server`."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import trustme

NAME = "localhost"
DAY = timedelta(days=1)
Dated = Callable[[trustme.CA], tuple[ssl.SSLContext, datetime]]
Plain = Callable[[], ssl.SSLContext]


def expired(authority: trustme.CA) -> tuple[ssl.SSLContext, datetime]:
    """Give a certificate that ended three days ago, and when that was."""
    end = datetime.now(UTC).replace(microsecond=0) - 3 * DAY
    return _context(authority.issue_cert(NAME, not_before=end - 30 * DAY, not_after=end)), end


def not_yet_valid(authority: trustme.CA) -> tuple[ssl.SSLContext, datetime]:
    """Give a certificate that begins in three days, and when that is."""
    begin = datetime.now(UTC).replace(microsecond=0) + 3 * DAY
    return _context(authority.issue_cert(NAME, not_before=begin, not_after=begin + 30 * DAY)), begin


def of_another_name(authority: trustme.CA) -> ssl.SSLContext:
    """Give a proper certificate of ``elsewhere.test``."""
    return _context(authority.issue_cert("elsewhere.test"))


def signed_by(organization: str) -> ssl.SSLContext:
    """Give a certificate of an authority that nobody here knows, as an inspecting product is one."""
    stranger = trustme.CA(organization_name=organization, organization_unit_name="Intermediate Root CA")
    return _context(stranger.issue_cert(NAME))


def self_signed() -> ssl.SSLContext:
    """Give a certificate that vouches for itself: an authority used as a server's own."""
    own = trustme.CA(organization_name="localhost", organization_unit_name="my laptop")
    return _loaded(own.cert_pem, own.private_key_pem)


def without_its_link(authority: trustme.CA) -> ssl.SSLContext:
    """Give a proper certificate whose signer, which an authority vouches for, is not served with it."""
    link = trustme.CA(authority, organization_name="DigiCert Inc", organization_unit_name="Global G2 TLS RSA SHA256")
    leaf = link.issue_cert(NAME)
    return _loaded(leaf.cert_chain_pems[0], leaf.private_key_pem)


def _loaded(certificate: trustme.Blob, key: trustme.Blob) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with certificate.tempfile() as certificate_file, key.tempfile() as key_file:
        context.load_cert_chain(certificate_file, key_file)
    return context


def _context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context
