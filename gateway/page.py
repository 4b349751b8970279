"""The page's server: what the page shows, on a port of its own, on the gateway's event loop."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import uvicorn

from gateway.asgi import Gateway
from gateway.authority import Authority
from gateway.cache.view import view as cache_view
from gateway.checkups import Checkups
from gateway.clients import Clients
from gateway.limit.team import scopes_of
from gateway.limit.view import view
from gateway.ports import bind
from gateway.record.recorder import Recorder
from gateway.settings import Address, Settings
from gateway.show.cached import clear_nothing
from gateway.show.measured import Metrics
from gateway.show.trust import Trust
from gateway.show.web import build_page
from gateway.tenants import Team
from gateway.version import version
from gateway.vitals import vitals

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Page(NamedTuple):
    """A page that is ready to be served."""

    server: "PageServer"
    socket: socket.socket
    address: Address


class PageServer(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway has one owner of signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def page_of(
    settings: Settings,
    recorder: Recorder,
    *,
    token: str,
    app: Gateway,
    clients: Clients,
    health: Callable[[], dict[str, Any]],
    checkups: Checkups,
    metrics: Metrics,
    team: Team,
    authority: Authority,
    listen: Address,
) -> Page:
    """Put the page together, and take its port.

    Raises:
        StartError: The port is taken.
    """
    address = settings.page.address
    sock, stages = bind(address), app.stages
    shelf = stages.cache
    page = build_page(
        recorder,
        token=token,
        health=health,
        adopt=app.adopt,
        limits=lambda: scopes_of(stages.gate, lambda gate: view(gate, clients.name)),
        readers=team.readers,
        allowed_hosts=frozenset({*LOCAL_NAMES, address.from_here.host, *settings.page.allowed_hosts}),
        version=version(),
        vitals=partial(vitals, stages.gate, stages.upstream),
        cache=partial(cache_view, shelf),
        clear_cache=shelf.clear if shelf is not None else clear_nothing,
        doctor=checkups,
        metrics=metrics,
        trust=Trust(
            certificate_pem=authority.certificate_pem,
            fingerprint_sha256=authority.fingerprint_sha256,
            not_after=authority.not_after,
            listen_host=listen.host,
            listen_port=listen.port,
            needs_token=bool(settings.listen.secret),
        ),
    )
    config = uvicorn.Config(
        page,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return Page(PageServer(config), sock, Address(address.host, sock.getsockname()[1]))
