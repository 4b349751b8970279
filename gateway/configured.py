"""What the settings make of the providers that we know, and of the ways out of this network."""

from collections.abc import Mapping
from dataclasses import replace

from gateway._discover import discover
from gateway.doctor.lists import Lists, Portal, Resolver, StatusPage
from gateway.egress.network import Ways, is_same, parse_via, ways_from
from gateway.model.provider import Provider
from gateway.settings import Settings


def providers(settings: Settings) -> tuple[Provider, ...]:
    """Give the built-in providers with the configured changes, and the configured new ones."""
    kinds = discover("gateway.providers", "PROVIDER", Provider)
    known = {provider.name: provider for provider in kinds.values()}
    for entry in settings.providers:
        base = known.get(entry.name) or replace(kinds[entry.kind], name=entry.name, hosts=(), base_url_variables=())
        known[entry.name] = replace(
            base,
            hosts=(*base.hosts, *entry.hosts),
            upstream=entry.upstream or base.upstream,
            upstream_ca_file=str(entry.upstream_ca_file) if entry.upstream_ca_file else base.upstream_ca_file,
        )
    return tuple(known.values())


def ways(settings: Settings, env: Mapping[str, str]) -> tuple[Ways, tuple[str, ...]]:
    """Give the ways out of this network, and a sentence about each variable that is not used.

    A shell that took its variables from a gateway names that gateway as its proxy: it is never its own way out.
    """
    network = settings.network
    found, problems = ways_from(env)
    remarks = [f"{name} is not used: expected {expected}." for name, expected in problems]
    if network.proxy is not None:
        text = network.proxy.get_secret_value()
        via = None if text == "none" else parse_via(text)
        found, remarks = replace(found, https=via, http=via), []
    own = settings.listen.address
    https, http = (
        None if via is None or is_same(via, own.host, own.port) else via for via in (found.https, found.http)
    )
    if (https, http) != (found.https, found.http):
        remarks.append(f"the proxy variables name {own}, which is this gateway itself; it goes straight instead.")
        found = replace(found, https=https, http=http)
    return replace(found, no_proxy=(*found.no_proxy, *network.no_proxy)), tuple(remarks)


def lists(settings: Settings) -> Lists:
    """Give what the doctor goes by."""
    doctor, usual = settings.doctor, Lists()
    pages = {one.provider: StatusPage(url=one.url, components=one.components) for one in doctor.status_pages}
    resolvers = (Resolver(name=one.name, address=one.address, port=one.port, path=one.path) for one in doctor.resolvers)
    portals = (Portal(url=one.url, status=one.status, holds=one.holds) for one in doctor.portals)
    return Lists(
        resolvers=tuple(resolvers) or usual.resolvers,
        portals=tuple(portals) or usual.portals,
        status_pages={**usual.status_pages, **pages},
        stream_url=doctor.stream_url or "",
        chatgpt=doctor.chatgpt,
        connect_to=doctor.connect_to,
    )
