"""The composition root: settings in, a running gateway out. It alone knows every part."""

import asyncio
import contextlib
import errno
import logging
import os
import random
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import uvicorn
from mitmproxy import master, options

from addons import Lanes, Tunnels, WebSockets, certificate_store, chain
from addons.handover import HandOver
from addons.reports import Reports
from gateway._discover import discover
from gateway.asgi import Gateway
from gateway.authority import Authority, load_or_create
from gateway.cache.backend import Backend
from gateway.egress.budget import RetryBudget
from gateway.egress.retry import RetryPolicy
from gateway.egress.send import AiohttpUpstream
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator
from gateway.limit.gate import Gate, LimitRule
from gateway.model.clock import SystemClock
from gateway.model.provider import Provider
from gateway.providers import openai
from gateway.record.recorder import Recorder
from gateway.settings import Address, Settings
from gateway.show.web import build_page
from gateway.stages import Stages
from gateway.state import Runtime, State

logger = logging.getLogger("whygate")

RUNS_POLL_SECONDS = 0.5
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
GRACE_SECONDS = 1.0
"""How long connections may take to close once their answers are out."""


class StartError(Exception):
    """The gateway cannot start: what, where, and how to mend it."""

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix


def serve(settings: Settings, state: State, *, on_ready: Callable[[Runtime], None], end_with_runs: bool = False) -> int:
    """Run a gateway until a signal ends it. Blocks.

    Args:
        on_ready: Called once, when both listeners answer.
        end_with_runs: End when no ``whygate run`` is left.
    Returns:
        The process's exit code.
    Raises:
        StartError: A port is taken, or the log cannot be used.
        StateError: The state directory or the certificate authority is not usable.
    """
    with state.lock():
        authority = load_or_create(state)
        secret = state.fingerprint_key()
        running = Running(settings, state, authority, secret, on_ready, end_with_runs=end_with_runs)
        return _run(running.main())


def providers(settings: Settings) -> tuple[Provider, ...]:
    """Give the built-in providers with the configured changes, and the configured new ones."""
    known = {p.name: p for p in discover("gateway.providers", "PROVIDER", Provider).values()}
    for entry in settings.providers:
        base = known.get(entry.name) or replace(openai.PROVIDER, name=entry.name, hosts=(), base_url_variable="")
        known[entry.name] = replace(
            base,
            hosts=(*base.hosts, *entry.hosts),
            upstream=entry.upstream or base.upstream,
            upstream_ca_file=str(entry.upstream_ca_file) if entry.upstream_ca_file else base.upstream_ca_file,
        )
    return tuple(known.values())


def limit_rules(settings: Settings) -> tuple[LimitRule, ...]:
    """Give the configured limits."""
    return tuple(
        LimitRule(
            provider=rule.provider,
            model=rule.model,
            per_second=rule.per_second,
            per_minute=rule.rpm,
            concurrency=rule.concurrency,
        )
        for rule in settings.limits.rules
    )


class Running:
    """One gateway from start to end."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        authority: Authority,
        secret: bytes,
        on_ready: Callable[[Runtime], None],
        *,
        end_with_runs: bool,
    ) -> None:
        self._settings, self._state, self._authority, self._secret = settings, state, authority, secret
        self._on_ready, self._end_with_runs = on_ready, end_with_runs
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._own_ports: frozenset[int] = frozenset()
        self._draining = False

    async def main(self) -> int:
        """Start, serve, drain, stop."""
        settings = self._settings
        recorder = Recorder(
            self._state.flows_db,
            self._clock,
            max_age_days=settings.record.max_age_days,
            max_bytes=settings.record.max_bytes,
        )
        _start_log(recorder, self._state)
        ca_file = str(settings.network.ca_file) if settings.network.ca_file else None
        upstream = AiohttpUpstream(ca_file=ca_file, own_address=self._own_address)
        try:
            stages = self._stages(recorder, upstream)
            proxy, lanes = self._proxy(recorder, stages)
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._serve(tasks, proxy, lanes, recorder, stages)
                finally:
                    proxy.shutdown()
        except* StartError as errors:
            raise errors.exceptions[0] from None
        finally:
            await upstream.close()
            recorder.close()
        return 0

    def _stages(self, recorder: Recorder, upstream: AiohttpUpstream) -> Stages:
        settings, estimates = self._settings, Estimates()
        stores = discover("gateway.cache.backends", "BACKEND", Backend)
        cache = settings.cache
        return Stages(
            clock=self._clock,
            instance=secrets.token_hex(8),
            secret=self._secret,
            identifier=Identifier(Locator(providers(settings)), self._secret, estimates),
            estimates=estimates,
            store=stores["memory"].open(cache.max_bytes) if cache.enabled else None,
            cache_ttl_seconds=float(cache.ttl_seconds),
            gate=Gate(
                limit_rules(settings),
                self._clock,
                queue_max=settings.limits.queue_max,
                queue_max_bytes=settings.limits.queue_max_bytes,
            ),
            upstream=upstream,
            policy=RetryPolicy(max_attempts=settings.retry.max_attempts),
            budget=RetryBudget(),
            sink=recorder,
            draw=random.random,
            sleep=asyncio.sleep,
        )

    def _proxy(self, recorder: Recorder, stages: Stages) -> tuple[master.Master, Lanes]:
        listen = self._settings.listen.address
        store = certificate_store(self._authority.certificate_pem, self._authority.key_pem)
        reports = Reports(recorder.recorded, self._clock)
        proxy = master.Master(
            options.Options(listen_host=listen.host, listen_port=listen.port, confdir=str(self._state.directory))
        )
        lanes = Lanes(
            app=Gateway(stages),
            hosts=stages.identifier.hosts(),
            store=store,
            scratch=self._state.directory,
            refused=reports.refused,
            locate=stages.identifier.websocket,
            websocket=HandOver,
        )
        tunnels = Tunnels(reports.tunnel, reports.tunnel_answer, lambda: self._own_ports)
        proxy.addons.add(*chain(lanes, store, tunnels, WebSockets(reports.websocket)))
        proxy.options.update(
            connection_strategy="eager",  # for tunnels alone; see addons.tunnels
            mode=["gateway"],
            ssl_verify_upstream_trusted_ca=str(self._settings.network.ca_file)
            if self._settings.network.ca_file
            else None,
        )
        return proxy, lanes

    async def _serve(
        self, tasks: asyncio.TaskGroup, proxy: master.Master, lanes: Lanes, recorder: Recorder, stages: Stages
    ) -> None:
        proxy_task = tasks.create_task(_quietly(proxy.run()))
        listen = await self._listening(proxy, proxy_task)
        token = self._settings.page.token.get_secret_value() if self._settings.page.token else secrets.token_urlsafe(24)
        page, page_address = self._page(recorder, token, lanes, stages)
        page_task = tasks.create_task(page.serve(sockets=[page_address[0]]))
        while not page.started:
            await asyncio.sleep(0.005)
            if page_task.done():
                break
        self._own_ports = frozenset({listen.port, page_address[1].port})
        runtime = Runtime(
            pid=os.getpid(),
            listen=str(listen),
            page=str(page_address[1]),
            token=token,
            started_at=_now_text(self._clock.wall()),
            ends_with_runs=self._end_with_runs,
        )
        runtime.write(self._state)
        try:
            with self._signals():
                self._on_ready(runtime)
                await self._until_stopped(runtime)
                await self._drain(proxy, lanes, stages)
        finally:
            runtime.remove(self._state)
            page.should_exit = True

    async def _listening(self, proxy: master.Master, task: "asyncio.Task[Any]") -> Address:
        server = proxy.addons.get("proxyserver")
        while not task.done():
            addresses = server.listen_addrs()
            if addresses:
                return Address(addresses[0][0], addresses[0][1])
            for instance in server.servers:
                if instance.last_exception is not None:
                    proxy.shutdown()
                    raise _port_error(instance.last_exception, self._settings.listen.address, "--listen")
            await asyncio.sleep(0.002)
        raise _port_error(OSError(errno.EIO, "the listener ended"), self._settings.listen.address, "--listen")

    def _page(
        self, recorder: Recorder, token: str, lanes: Lanes, stages: Stages
    ) -> tuple["_PageServer", tuple[Any, Address]]:
        def health() -> dict[str, Any]:
            return {
                "state": "draining" if self._draining else "ready",
                "connections": len(lanes.state.connections),
                "running": len(lanes.state.tasks),
                "waiting": stages.gate.waiting,
            }

        address = self._settings.page.address
        sock = _bind(address)
        app = build_page(
            recorder,
            token=token,
            health=health,
            allowed_hosts=frozenset({*LOCAL_NAMES, *self._settings.page.allowed_hosts}),
            version=_version(),
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=1
        )
        bound = Address(address.host, sock.getsockname()[1])
        return _PageServer(config), (sock, bound)

    async def _until_stopped(self, runtime: Runtime) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RUNS_POLL_SECONDS if self._end_with_runs else None)
            if self._end_with_runs and not self._stopping.is_set() and self._state.no_runs(retire=runtime):
                return

    async def _drain(self, proxy: master.Master, lanes: Lanes, stages: Stages) -> None:
        """Take no new connection, refuse who waits, let running answers end."""
        self._draining = True
        for instance in proxy.addons.get("proxyserver").servers:
            await instance.stop()
        stages.gate.drain()
        for connection in list(lanes.state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.listen.drain_seconds):
                while lanes.state.tasks and not self._hurry.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._hurry.wait(), 0.05)
        for connection in list(lanes.state.connections):
            connection.transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while lanes.state.tasks:
                    await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught = (signal.SIGTERM, signal.SIGINT)
        for number in caught:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        """End after the running answers; asked a second time, end now."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _own_address(self, host: str, port: int) -> bool:
        """Whether an address is one of our listeners, which nothing may reach through us."""
        return port in self._own_ports and (
            host.startswith("127.") or host in {"::1", "0.0.0.0", "::", "::ffff:127.0.0.1"}
        )  # noqa: S104 - compared, not bound


class _PageServer(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway has one owner of signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def _start_log(recorder: Recorder, state: State) -> None:
    from gateway.record.backends.sqlite import StoreError  # noqa: PLC0415

    try:
        recorder.start()
    except StoreError as error:
        raise StartError(
            str(error), str(state.flows_db), f"Move it away: mv {state.flows_db} {state.flows_db}.old"
        ) from error


def _bind(address: Address) -> Any:  # noqa: ANN401
    import socket  # noqa: PLC0415

    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
    except OSError as error:
        sock.close()
        raise _port_error(error, address, "--page") from error
    return sock


def _port_error(error: Exception, address: Address, flag: str) -> StartError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        what = f"Port {address.port} is already in use"
        fix = f"Stop what uses it (see: ss -ltnp 'sport = :{address.port}'), or take another: {flag} {address.host}:{address.port + 2}"
    elif isinstance(error, OSError) and error.errno == errno.EACCES:
        what = f"Port {address.port} needs more rights than this user has"
        fix = f"Take a port above 1023: {flag} {address.host}:8090"
    else:
        what = f"Cannot listen: {error}"
        fix = f"Check the address, or take another: {flag} 127.0.0.1:0"
    return StartError(what, str(address), fix)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    # mitmproxy's master ends by SystemExit when its listener failed; the reason is read from the listener.
    with contextlib.suppress(SystemExit):
        await work


def _now_text(epoch_seconds: float) -> str:
    from gateway.record.row import utc_text  # noqa: PLC0415

    return utc_text(epoch_seconds)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("whygate")
    except PackageNotFoundError:
        return "0"


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it works with mitmproxy's eager tasks, else on asyncio."""
    factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415

        if _is_sound(uvloop.new_event_loop):
            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _is_sound(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> bool:
    """Whether a loop runs with an eager task factory; uvloop 0.23 on CPython 3.13.0 does not."""

    async def nothing() -> None:
        pass

    async def probe() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        work = nothing()
        try:
            await asyncio.get_running_loop().create_task(work)
        finally:
            work.close()
            asyncio.get_running_loop().set_task_factory(None)

    loop = new_loop()
    try:
        loop.run_until_complete(probe())
    except TypeError:
        return False
    finally:
        loop.close()
    return True
