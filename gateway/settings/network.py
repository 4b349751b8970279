"""Settings of the way out: the company's proxy, certificates, providers, and connections that are open ahead."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Self

from pydantic import model_validator

from gateway._discover import discover
from gateway.egress.network import is_same, parse_via
from gateway.identify.locate import home_of
from gateway.model.provider import Provider
from gateway.settings.address import Address
from gateway.settings.problems import MisfitError, nearest
from gateway.settings.section import Section, setting
from gateway.settings.values import (
    EditedRoute,
    HostName,
    Kind,
    NoProxyEntry,
    PemFile,
    ProviderName,
    ProxyAddress,
    Upstream,
)


class IdleRule(Section):
    """How long one route's provider may be silent."""

    route: EditedRoute = setting(
        ..., "Which route.", unit="PROVIDER/PATH, with * for any part", example='"openai/v1/embeddings"'
    )
    seconds: int = setting(..., "As idle_seconds above.", unit="seconds", example="60", ge=1, le=86_400)


class Network(Section):
    """How the gateway reaches providers, and everything else that is tunnelled through it."""

    proxy: ProxyAddress | None = setting(
        None,
        "The company's proxy, by http://, https://, socks5h://, socks5://, socks4a:// or socks4://; socks5 and socks4"
        " look names up here, the others leave that to the proxy. Left out, the gateway uses HTTPS_PROXY, HTTP_PROXY,"
        ' ALL_PROXY and NO_PROXY of the terminal it was started in, as other programs do; "none" goes straight'
        " whatever they say. Special characters in a password are percent-encoded.",
        unit='address, or "none"',
        example='"http://USER:PASSWORD@proxy.example.com:3128"',
    )
    no_proxy: tuple[NoProxyEntry, ...] = setting(
        (),
        "Hosts that are reached without that proxy, besides those in NO_PROXY. This machine's own addresses never go"
        " through it.",
        unit="list of host names (with everything below them), addresses or networks",
        example='["internal.example.com", "10.0.0.0/8"]',
        strict=False,
    )
    ca_file: PemFile | None = setting(
        None,
        "Certificates to trust for providers beside the system's own, for a company that inspects TLS.",
        unit="absolute path of a PEM file",
        example='"/etc/ssl/company-ca.pem"',
    )
    preconnect: tuple[ProviderName, ...] = setting(
        (),
        "Providers to which one connection is always open ahead, so that the first call after a pause does not wait"
        " for TCP and TLS. None by default: nothing leaves this machine unasked.",
        unit="list of provider names",
        example='["openai"]',
        strict=False,
    )
    idle_seconds: int = setting(
        600,
        "How long a provider may be silent, before its answer and between two parts of it, until the call is given up."
        " Some models think for minutes; the official SDKs bear ten of them.",
        unit="seconds",
        ge=1,
        le=86_400,
    )
    idle: tuple[IdleRule, ...] = setting(
        (), "Other times for some routes; the first that matches counts.", unit="tables", strict=False
    )


class ProviderEntry(Section):
    """A provider, or a change to the built-in one of the same name."""

    name: ProviderName = setting(
        ...,
        "A built-in name changes that provider; a new one adds a provider that is reached under /NAME on the gateway.",
        unit="lower-case letters, digits, - and _",
        example='"openai"',
    )
    kind: Kind = setting(
        "openai_compatible",
        "Which protocol a new provider speaks; a built-in one has its own. Most relays and local model servers speak"
        " OpenAI's.",
        unit="openai_compatible, openai, azure_openai, anthropic or gemini",
    )
    hosts: tuple[HostName, ...] = setting(
        (),
        "Hosts to treat as this provider. Only providers' hosts are decrypted; everything else passes untouched.",
        unit="list of host names",
        example='["llm.example.com"]',
        strict=False,
    )
    upstream: Upstream | None = setting(
        None,
        "Where to send its calls instead. A path in it goes before the call's own; plain http only to this machine.",
        unit="address",
        example='"https://relay.example.com/v1"',
    )
    upstream_ca_file: PemFile | None = setting(
        None,
        "Certificates to trust for this upstream alone.",
        unit="absolute path of a PEM file",
        example='"/etc/ssl/relay-ca.pem"',
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.hosts and self.upstream is None and self.upstream_ca_file is None:
            message = "at least one of hosts, upstream, upstream_ca_file"
            raise ValueError(message)
        return self


def check_proxy(network: Network, own: Address) -> None:
    """Check that the gateway is not its own way out. Raises MisfitError."""
    text = "none" if network.proxy is None else network.proxy.get_secret_value()
    if text != "none" and own.port and is_same(parse_via(text), own.host, own.port):
        message = f'the address of another proxy (listen.address, {own}, is this gateway itself), or "none"'
        raise MisfitError("network.proxy", message)


def check_preconnect(network: Network, entries: Iterable[ProviderEntry]) -> None:
    """Check that there is one place to connect to for every name. Raises MisfitError."""
    if not network.preconnect:
        return
    kinds = discover("gateway.providers", "PROVIDER", Provider)
    known = {provider.name: provider for provider in kinds.values()}
    for entry in entries:
        base = known.get(entry.name) or replace(kinds[entry.kind], name=entry.name, hosts=())
        known[entry.name] = replace(base, hosts=(*base.hosts, *entry.hosts), upstream=entry.upstream or base.upstream)
    for name in network.preconnect:
        if name not in known:
            meant = nearest(name, list(known))
            message = f"names of providers ({name} is none{f'; did you mean {meant}?' if meant else ''})"
            raise MisfitError("network.preconnect", message)
        if home_of(known[name]) is None:
            message = (
                f"providers that have a host of their own ({name} has none, or another for each customer; an upstream"
                " in a [[providers]] table of that name would be one)"
            )
            raise MisfitError("network.preconnect", message)
