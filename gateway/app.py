"""The composition root: settings in, a running gateway out. It alone knows every part."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from mitmproxy import exceptions, master, options

from addons import Crowd, Interceptions, Lanes, Tunnels, WebSockets, certificate_store, chain
from addons.entrance import Entrance
from addons.reports import LookAt, Reports
from gateway.asgi import Gateway
from gateway.authority import Authority, load_or_create
from gateway.checkups import Checkups, latest
from gateway.clients import Clients
from gateway.compose import Egress, compose, edited_place, egress, opened_ahead
from gateway.draining import drain
from gateway.egress.network import Ways
from gateway.egress.send import AiohttpUpstream
from gateway.egress.warm import keep_warm
from gateway.identify.credential import Credentials
from gateway.loop import run
from gateway.memory import Memory
from gateway.model.clock import SystemClock
from gateway.model.event import EventSink
from gateway.observed import Observed
from gateway.page import Page, page_of
from gateway.ports import StartError, leads_to, port_error
from gateway.record.recorder import Recorder
from gateway.record.row import utc_text
from gateway.reloading import Hangup, Parts, Reloading
from gateway.settings import Address, Settings
from gateway.shared import Shared, own_secret
from gateway.stages import Stages
from gateway.starting import listening, open_log, quietly, settle
from gateway.state import Runtime, State
from gateway.team import TeamParts
from gateway.tenants import Team
from gateway.trust import upstream_roots
from gateway.ui import Ui, feed_of
from gateway.upgrade import upgrade

if TYPE_CHECKING:
    from addons.feed import Feed

logger = logging.getLogger("whygate")

RUNS_POLL_SECONDS = 0.5

OpenPage = Callable[..., Page]


def serve(
    settings: Settings,
    state: State,
    *,
    team: Team,
    on_ready: Callable[[Runtime], None],
    read_again: Callable[[], Settings] | None = None,
    end_with_runs: bool = False,
    ui: Ui | None = None,
) -> int:
    """Run a gateway until a signal ends it. Blocks.

    Args:
        team: Who uses it.
        on_ready: Called once, when both listeners answer.
        read_again: Gives the settings as they stand in their sources on SIGHUP, which ends the gateway without it.
        end_with_runs: End when no ``whygate run`` is left.
        ui: Show calls there, too.

    Returns:
        The process's exit code.

    Raises:
        StartError: A port is taken, or the log cannot be used.
        StateError: The state directory or the certificate authority is not usable.
    """
    # What mitmproxy says of its listener is said better by StartError; its warnings are about features not used here.
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    logging.getLogger("mitmproxy.addons.proxyserver").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with state.lock():
        authority = load_or_create(state)
        secret = own_secret(settings, state)
        running = Running(
            settings, state, authority, secret, on_ready,
            team=team, read_again=read_again, end_with_runs=end_with_runs, ui=ui,
        )  # fmt: skip
        return run(running.main())


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
        team: Team,
        read_again: Callable[[], Settings] | None,
        end_with_runs: bool,
        ui: Ui | None,
    ) -> None:
        self._settings, self._state, self._authority = settings, state, authority
        self._on_ready, self._end_with_runs, self._ui = on_ready, end_with_runs, ui
        self._read_again = read_again or (lambda: settings)
        self._hears_hangups = read_again is not None and hasattr(signal, "SIGHUP")
        self._reloading: Reloading
        self._crowd = Crowd()
        self._bound(settings)
        self._clock = SystemClock()
        self._shared = Shared(settings, self._clock, secret)
        self._team = TeamParts(team, self._clock, store=self._shared.budgets())
        self._clients = Clients()
        self._observed = Observed(settings, os.environ, insist=not end_with_runs)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._own: tuple[Address, ...] = ()
        self._draining = False

    async def main(self) -> int:
        """Start, serve, drain, stop."""
        settings = self._settings
        recorder = open_log(settings.record, self._state, self._clock, self._clients)
        async with contextlib.AsyncExitStack() as owned:
            owned.callback(recorder.close)
            owned.callback(self._observed.close)
            owned.push_async_callback((shared := self._shared).close)
            dialer, out, bounds, _ = self._egress()
            upstream = AiohttpUpstream(dialer, probes=settings.diagnose.probes != "off")
            owned.push_async_callback(upstream.close)
            checkups = self._checkups(out, recorder)
            owned.push_async_callback(checkups.close)
            owned.callback(self._clients.close)
            await shared.meet()
            feed = feed_of(self._ui, recorder)
            sink = self._observed.over(recorder, feed)
            stages = compose(
                settings,
                self._clock,
                shared.secret,
                sink,
                upstream,
                bounds=bounds,
                seen=self._clients.seen,
                directory=self._state.directory,
                link=shared.link,
                capture=recorder.capture.wants,
                look=checkups.look,
                incident=checkups.incident,
                sharing=shared.sharing,
                team=self._team,
            )
            self._observed.begin(stages)
            self._observed.parts |= shared.parts()
            memory = Memory(self._state, stages.gate, self._team, self._clock)
            if (shelf := stages.cache) is not None:
                await shelf.open()
                owned.push_async_callback(shelf.close)
            app = Gateway(stages)
            parts = Parts(
                app=app, recorder=recorder, checkups=checkups, bounds=bounds, shelf=shelf, others=(self._bound,)
            )
            self._reloading = Reloading(self._read_again, settings, parts, self._clock)
            proxy, lanes = self._proxy(sink, app, feed, checkups.look_at)
            aside = [*memory.load(), shared.run(), self._reloading.run(), checkups.watch.run()]
            aside += shared.news(stages.gate, stages.breaker)
            aside += [keep_warm(dialer, opened_ahead(settings)), *([shelf.run()] if shelf is not None else [])]
            pages = partial(page_of, settings, recorder, app=app, checkups=checkups, clients=self._clients)
            pages = partial(pages, team=self._team.team, metrics=self._observed.metrics, authority=self._authority)
            await self._beside(aside, proxy, lanes, stages, pages)
        memory.save()
        return 0

    async def _beside(
        self,
        aside: list[Coroutine[Any, Any, None]],
        proxy: master.Master,
        lanes: Lanes,
        stages: Stages,
        open_page: OpenPage,
    ) -> None:
        """Serve, with other work beside it that ends with it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = [tasks.create_task(work) for work in aside]
                try:
                    with self._signals():
                        await self._serve(tasks, proxy, lanes, stages, open_page)
                finally:
                    for task in keeping:
                        task.cancel()
                    proxy.shutdown()
        except* StartError as errors:
            raise errors.exceptions[0] from None

    def _bound(self, settings: Settings) -> None:
        """Bound what one client may take. On loopback all come from one address, and it is this machine's own."""
        listen, alone = settings.listen, settings.listen.address.is_loopback
        self._crowd.renew(
            0 if alone else listen.connections_per_client,
            0 if alone else listen.bytes_per_client,
            listen.connections_max,
        )

    def _egress(self) -> Egress:
        found = egress(self._settings, os.environ, self._own_address)
        for remark in found.remarks:
            logger.warning("whygate: %s", remark)
        return found

    def _checkups(self, out: Ways, recorder: Recorder) -> Checkups:
        return Checkups(
            self._settings,
            out,
            self._clock,
            flows=latest(recorder),
            own=lambda: tuple((own.from_here.host, own.port) for own in self._own),
            state=self._state.directory,
            environ=dict(os.environ),
        )

    def _proxy(
        self, sink: EventSink, app: Gateway, feed: "Feed | None", look_at: LookAt
    ) -> tuple[master.Master, Lanes]:
        listen = self._settings.listen.address
        store = certificate_store(self._authority.certificate_pem, self._authority.key_pem)
        reports = Reports(sink.recorded, self._clock, look_at)
        opts = options.Options(listen_host=listen.host, listen_port=listen.port, confdir=str(self._state.directory))
        upstream, barred = app.stages.upstream, app.stages.barred
        lanes = Lanes(
            app=app if feed is None else feed.hearing(app),
            came=self._clients.came,
            entrance=Entrance(Credentials(self._team.team.tokens), app.place),
            is_provider=app.is_provider,
            store=store,
            scratch=self._state.directory,
            refused=reports.refused,
            upgrade=lambda call: upgrade(app.stages, call),
            edited=lambda origin, target: edited_place(app.place, self._reloading.settings.listen.edit, origin, target),
            tunnels=Tunnels(
                upstream.stream,
                reports.tunnel,
                reports.tunnel_answer,
                barred,
                reports.second_look,
                instance=app.stages.instance,
            ),
            websockets=WebSockets(reports.websocket, keep_messages=feed is not None),
            interceptions=Interceptions(
                app.place,
                reports.intercepted,
                None if feed is None else feed.speak_http,
                app.stages.tenancy.may_go_uncounted,
                app.stages.instance,
            ),
            dial=upstream.stream,
            crowd=self._crowd,
        )
        proxy = self._master(opts, chain(lanes, store), feed)
        proxy.options.update(
            connection_strategy="lazy",
            mode=["gateway"],
            ssl_verify_upstream_trusted_ca=self._upstream_roots(),
        )
        return proxy, lanes

    def _master(self, opts: options.Options, addons: list[object], feed: "Feed | None") -> master.Master:
        if self._ui is None or feed is None:
            plain = master.Master(opts)
            if logging.lastResort is not None:  # mitmproxy's handler at the root ends what Python does by itself
                logger.addHandler(logging.lastResort)
            plain.addons.add(*addons)
            return plain
        from addons.uis import HOST, open_ui  # noqa: PLC0415 - over a second; who wants none does not pay

        try:
            return open_ui(self._ui.kind, opts, addons, feed, self._ui.options)
        except exceptions.OptionsError as error:
            raise StartError(str(error), "--set", "Leave it out, or see mitmproxy's documentation of it.") from error
        except OSError as error:
            raise port_error(error, Address(HOST, 0), "--set web_port") from error

    def _upstream_roots(self) -> str:
        """Give what is trusted where mitmproxy speaks TLS to a provider: it takes one file instead of the system's."""
        settings = self._settings
        chosen = (settings.network.ca_file, *(entry.upstream_ca_file for entry in settings.providers))
        return str(upstream_roots(self._state, (file for file in chosen if file is not None)))

    async def _serve(
        self, tasks: asyncio.TaskGroup, proxy: master.Master, lanes: Lanes, stages: Stages, open_page: OpenPage
    ) -> None:
        proxy_task = tasks.create_task(quietly(proxy.run()))
        listen = await listening(proxy, proxy_task, self._settings.listen.address)
        token = self._settings.page.secret or secrets.token_urlsafe(24)
        page, page_socket, page_address = open_page(
            token=token, health=partial(self._health, lanes, stages), listen=listen
        )
        page_task = tasks.create_task(page.serve(sockets=[page_socket]))
        while not page.started:
            await asyncio.sleep(0.005)
            if page_task.done():
                break
        self._own = (listen, page_address)
        runtime = Runtime(
            pid=os.getpid(),
            listen=str(listen.from_here),
            page=str(page_address.from_here),
            token=token,
            listen_token=self._settings.listen.secret,
            asks_for_token=bool(self._team.team.tokens),
            started_at=utc_text(self._clock.wall()),
            ends_with_runs=self._end_with_runs,
        )
        settle()
        runtime.write(self._state)
        try:
            if self._ui is not None:
                await self._open(self._ui, proxy, proxy_task)
            self._on_ready(runtime)
            await self._until_stopped(runtime)
            self._draining = True
            seconds = self._reloading.settings.listen.drain_seconds
            await drain(proxy, lanes, stages.gate, seconds, self._hurry)
        finally:
            runtime.remove(self._state)
            page.config.loaded_app.state.feed.close()  # live streams end; the server would wait for them
            page.should_exit = True

    def _health(self, lanes: Lanes, stages: Stages) -> dict[str, Any]:
        return {
            "state": "draining" if self._draining else "ready",
            "connections": len(lanes.state.connections),
            "running": len(lanes.state.tasks),
            "waiting": stages.gate.waiting,
            "team": self._shared.view(),
            "reload": self._reloading.view(),
        }

    async def _until_stopped(self, runtime: Runtime) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RUNS_POLL_SECONDS if self._end_with_runs else None)
            if self._end_with_runs and not self._stopping.is_set() and self._state.no_runs(retire=runtime):
                return

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught: dict[signal.Signals, Callable[[], None]] = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop}
        if self._hears_hangups:
            caught[signal.SIGHUP] = Hangup(self._reloading.ask, self._stop)
        for number, act in caught.items():
            loop.add_signal_handler(number, act)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    async def _open(self, ui: Ui, proxy: Any, task: "asyncio.Task[Any]") -> None:
        """Wait until the UI answers. Whoever quits it ends the gateway."""
        task.add_done_callback(lambda _task: self._stop())
        opened = asyncio.ensure_future(proxy.opened.wait())
        await asyncio.wait((task, opened), return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        ui.opened(proxy.link)

    def _stop(self) -> None:
        """End after the running answers; asked a second time, end now."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _own_address(self, host: str, port: int) -> bool:
        """Whether an address is one of our listeners, which nothing may reach through us."""
        return any(leads_to(own, host, port) for own in self._own)
