"""mitmproxy's own UIs, mitmweb and the console, around this gateway's chain of addons.

Both masters of mitmproxy (12.2) add its default list of addons when they are made. That list has a second listener, a
TLS setup of its own, replaying, saving and an onboarding site, none of which may be in this process. So the two classes
here take mitmproxy's masters for everything they do while they run, and are put together without their ``__init__``.

What is taken of mitmproxy's addons works on what mitmproxy carries (``[listen] edit``): intercept, scripts, header and
body rules. What its console asks for all the same is in `Withheld`; options that the gateway stands on cannot be
changed while it runs (`Kept`).
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any, Optional

from mitmproxy import command, ctx, exceptions, flow, master, options
from mitmproxy.addons import (
    anticache,
    anticomp,
    comment,
    eventstore,
    export,
    intercept,
    modifybody,
    modifyheaders,
    script,
    view,
)
from mitmproxy.tools.console import consoleaddons, defaultkeys, keymap
from mitmproxy.tools.console.master import ConsoleMaster
from mitmproxy.tools.web import app, webaddons
from mitmproxy.tools.web.master import WebMaster
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from addons.feed import Feed

logger = logging.getLogger("whygate.uis")

HOST = "127.0.0.1"
COLUMNS = ["tls", "icon", "path", "method", "status", "size", "time", "comment"]
"""mitmweb's own, and the verdict."""

_FREE = frozenset(
    {"intercept", "intercept_active", "scripts", "modify_headers", "modify_body", "anticache", "anticomp"}
    | {"showhost", "web_columns", "content_view_lines_cutoff", "protobuf_definitions"}
)
_TEXT: Any = Optional[str]  # noqa: UP045 - mitmproxy compares it with what it writes itself
_FREE_STARTS = ("view_", "console_")
_AT_START = frozenset({"web_port", "web_password", "web_open_browser"})


class Kept:
    """Keeps what the gateway stands on: the listener, TLS, where things lie. First in the chain: it is asked first.

    A page of mitmproxy's may set any option, among others ``mode``, which would replace this gateway's listener.
    """

    name = "kept"

    def __init__(self) -> None:
        self._fixed: dict[str, Any] = {}

    def running(self) -> None:
        """Note how things are."""
        known: Any = ctx.options
        self._fixed = {name: getattr(known, name) for name in known.keys() if not _is_free(name)}  # noqa: SIM118 - no mapping

    def configure(self, updated: set[str]) -> None:
        """Put back what is fixed, and say so. OptionsError."""
        known: Any = ctx.options
        changed = sorted(name for name in updated & self._fixed.keys() if getattr(known, name) != self._fixed[name])
        for name in changed:
            known._options[name].set(self._fixed[name])  # noqa: SLF001 - resetting all options does not roll back
        if changed:
            raise exceptions.OptionsError(f"{', '.join(changed)}: whygate sets this itself and keeps it while it runs.")


class Withheld:
    """What mitmproxy's console reads of addons that are not here: their options, which stay as they are, and counts."""

    name = "withheld"

    def load(self, loader: Any) -> None:
        """Add the options."""
        here = "Not in whygate."
        loader.add_option("stickycookie", _TEXT, None, here)
        loader.add_option("stickyauth", _TEXT, None, here)
        loader.add_option("save_stream_file", _TEXT, None, here)
        loader.add_option("server_replay_refresh", bool, default=True, help=here)

    @command.command("replay.client")  # type: ignore[untyped-decorator]
    def replay(self, flows: Sequence[flow.Flow]) -> None:
        """Say why it is not done."""
        logger.warning("Calls are not sent again from here: the key is not kept. Let the app do it.")

    @command.command("replay.server.count")  # type: ignore[untyped-decorator]
    def served(self) -> int:
        """Nothing is replayed."""
        return 0

    @command.command("replay.client.count")  # type: ignore[untyped-decorator]
    def sent(self) -> int:
        """Nothing is replayed."""
        return 0


class Web(WebMaster):
    """mitmweb on a port of its own.

    Args:
        port: 0 takes any free one. OSError when it is taken.
    """

    def __init__(self, opts: options.Options, chain: Sequence[object], feed: Feed, port: int) -> None:
        master.Master.__init__(self, opts)
        self.view = view.View()
        self.view.sig_view_add.connect(self._sig_view_add)
        self.view.sig_view_remove.connect(self._sig_view_remove)
        self.view.sig_view_update.connect(self._sig_view_update)
        self.view.sig_view_refresh.connect(self._sig_view_refresh)
        self.events = eventstore.EventStore()
        self.events.sig_add.connect(self._sig_events_add)
        self.events.sig_refresh.connect(self._sig_events_refresh)
        self.options.changed.connect(self._sig_options_update)
        _add(self, chain, feed)
        self.addons.add(webaddons.WebAddon(), webaddons.WebAuth(), self.view, self.events)
        self.app = app.Application(self, False)  # noqa: FBT003 - its signature
        self.proxyserver = self.addons.get("proxyserver")
        self.proxyserver.servers.changed.connect(self._sig_servers_changed)
        self.opened = asyncio.Event()
        self._sockets: list[socket.socket] = bind_sockets(port, HOST)
        self._server = HTTPServer(self.app, max_buffer_size=2**32)  # as theirs: a saved file may be large
        self.options.update(
            web_host=HOST, web_port=self._sockets[0].getsockname()[1], web_open_browser=False, web_columns=COLUMNS
        )

    @property
    def link(self) -> str:
        """The page's address with what it asks for: one click opens it."""
        return self.web_url

    async def running(self) -> None:
        """Open the page, on the port that was bound when this was made."""
        self._server.add_sockets(self._sockets)
        await master.Master.running(self)
        self.opened.set()

    async def done(self) -> None:
        """Close the page."""
        self._server.stop()
        await self._server.close_all_connections()
        await super().done()

    async def load_flow(self, f: flow.Flow) -> None:
        """Show a flow of a saved file, and no more: the hooks would record it as a call of today."""
        self.view.add([f])


class Console(ConsoleMaster):
    """mitmproxy's console in this terminal."""

    link = ""

    def __init__(self, opts: options.Options, chain: Sequence[object], feed: Feed) -> None:
        master.Master.__init__(self, opts)
        self.view = view.View()
        self.events = eventstore.EventStore()
        self.events.sig_add.connect(self.sig_add_log)
        self.stream_path = None
        self.keymap = keymap.Keymap(self)
        defaultkeys.map(self.keymap)
        self.options.errored.connect(self.options_error)
        _add(self, chain, feed)
        self.addons.add(self.view, self.events, consoleaddons.ConsoleAddon(self), keymap.KeymapConfig(self))
        self.window = None
        self.opened = asyncio.Event()

    async def running(self) -> None:
        """Take the terminal."""
        await super().running()
        self.opened.set()

    async def load_flow(self, f: flow.Flow) -> None:
        """Show a flow of a saved file, and no more."""
        self.view.add([f])


Ui = Web | Console


def open_ui(kind: str, opts: options.Options, chain: Sequence[object], feed: Feed, wishes: Sequence[str]) -> Ui:
    """Make a master with a UI.

    Args:
        kind: ``mitmweb`` or ``console``.
        chain: The gateway's own addons.
        wishes: ``name=value`` for options of mitmproxy's that are free.

    Raises:
        OptionsError: A wish cannot be met.
        OSError: mitmweb's port is taken.
    """
    names = [wish.partition("=")[0] for wish in wishes]
    for name in names:
        if not _is_free(name) and name not in _AT_START:
            raise exceptions.OptionsError(f"{name} is no option that --set can change.")
    ports = [wish.partition("=")[2] for wish in wishes if wish.startswith("web_port=")]
    if not all(port.isdigit() and int(port) < 65_536 for port in ports):
        raise exceptions.OptionsError("web_port is a number up to 65535.")
    port = int(ports[-1]) if ports else 0
    made: Ui = Web(opts, chain, feed, port) if kind == "mitmweb" else Console(opts, chain, feed)
    feed.attach(made.view)
    _listen_to_logs(to_terminal=kind == "mitmweb")
    made.options.set(*(wish for wish in wishes if not wish.startswith("web_port=")))
    return made


def _add(made: master.Master, chain: Sequence[object], feed: Feed) -> None:
    """Add what both have. The view comes after all of these: it shows what they have made of a flow."""
    made.addons.add(
        Kept(),
        *chain,
        feed,
        Withheld(),
        anticache.AntiCache(),
        anticomp.AntiComp(),
        modifybody.ModifyBody(),
        modifyheaders.ModifyHeaders(),
        script.ScriptLoader(),
        intercept.Intercept(),
        export.Export(),
        comment.Comment(),
    )


def _is_free(name: str) -> bool:
    return name in _FREE or name.startswith(_FREE_STARTS)


def _listen_to_logs(*, to_terminal: bool) -> None:
    """Let the UI's event log have what scripts and the gateway say.

    Its handler on the root logger ends Python's habit of printing warnings when there is none: beside mitmweb they are
    printed as ever, in the console they would tear the screen.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for name in ("tornado", "asyncio", "hpack", "urwid"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mitmproxy.addons.script").setLevel(logging.INFO)
    if to_terminal and logging.lastResort is not None:
        root.addHandler(logging.lastResort)
