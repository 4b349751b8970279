"""The kinds of value that settings have, each with the check that says what was expected instead."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, SecretStr, StringConstraints

from gateway.egress.network import parse_via
from gateway.settings.address import Address, parse_address

TOKEN_MIN = 16
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
"""RFC 3986 section 2.3."""
_ALLOWED_HOST = re.compile(r"(?:(?:\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _listen_address(value: object) -> Address:
    """Read an address that this machine can have."""
    address = value if isinstance(value, Address) else parse_address(value if isinstance(value, str) else "")
    if not address.is_loopback and not _is_ip(address.host):
        message = (
            "an address of this machine as numbers (127.0.0.1, [::1] or localhost; or, with a token, 0.0.0.0 for"
            " all of them): a name can come to mean another one"
        )
        raise ValueError(message)
    return address


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _in_addresses(token: SecretStr) -> SecretStr:
    """Check that a token can stand in a URL as it is, in every part of one."""
    if not _UNRESERVED.fullmatch(token.get_secret_value()):
        message = (
            "letters, digits, and - . _ ~ only, since it stands in addresses and some programs do not escape the rest"
            " (openssl rand -hex 24 makes a good one)"
        )
        raise ValueError(message)
    return token


def _existing_pem(path: Path) -> Path:
    """Check now what would otherwise fail on the first call."""
    path = path.expanduser()
    if not path.is_absolute():
        message = "an absolute path, so that it means the same whatever directory the gateway starts in"
        raise ValueError(message)
    try:
        text = path.read_bytes()
    except OSError as exc:
        message = f"a readable PEM file ({exc.strerror})"
        raise ValueError(message) from exc
    if b"-----BEGIN CERTIFICATE-----" not in text:
        message = "a PEM file with at least one certificate (no BEGIN CERTIFICATE line in it)"
        raise ValueError(message)
    return path


def _upstream(text: str) -> str:
    """Check an origin with an optional path, and drop a slash at its end."""
    try:
        url = urlsplit(text)
        address = Address(url.hostname or "", url.port or 0)
    except ValueError as exc:
        message = "an address like https://relay.example/v1"
        raise ValueError(message) from exc
    if url.scheme not in {"http", "https"} or not address.host:
        message = "an address like https://relay.example/v1"
        raise ValueError(message)
    if url.username is not None or url.query or url.fragment:
        message = "scheme, host, port and path only: no user name, password, query or fragment"
        raise ValueError(message)
    if url.scheme == "http" and not address.is_loopback:
        message = "https: plain http would show your API key to the network (it is allowed to this machine alone)"
        raise ValueError(message)
    return text.rstrip("/")


def _proxy(value: SecretStr) -> SecretStr:
    """Check a proxy's address now; the message never shows its password."""
    if value.get_secret_value() != "none":
        parse_via(value.get_secret_value())
    return value


def _allowed_host(text: str) -> str:
    """Check one host that may be reached."""
    if not _ALLOWED_HOST.fullmatch(text):
        message = "a host name, *.SUFFIX or an address, with or without a port (IPv6 in brackets: [2001:db8::1]:443)"
        raise ValueError(message)
    return text


ListenAddress = Annotated[InstanceOf[Address], BeforeValidator(_listen_address)]
PemFile = Annotated[Path, Field(strict=False), AfterValidator(_existing_pem)]
Upstream = Annotated[str, AfterValidator(_upstream)]
HostName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z0-9._:\[\]-]+$")]
ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
EditedRoute = Annotated[str, StringConstraints(pattern=r"^[a-z*][a-z0-9_.*-]*/[^\s?#]*$")]
ProxyAddress = Annotated[SecretStr, AfterValidator(_proxy)]
NoProxyEntry = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:*\[\]/-]+$")]
Kind = Literal["openai_compatible", "openai", "azure_openai", "anthropic", "gemini"]
Token = Annotated[SecretStr, Field(min_length=TOKEN_MIN, max_length=256)]
TokenInAddresses = Annotated[Token, AfterValidator(_in_addresses)]
AllowedHost = Annotated[str, StringConstraints(to_lower=True), AfterValidator(_allowed_host)]
