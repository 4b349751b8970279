"""``whygate tail``: what ends now, for as long as one looks, across restarts of the gateway."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from gateway.cli.reading import PageSource, open_source, wait_for_gateway
from gateway.cli.screen import UserError, note
from gateway.record.filter import FlowFilter
from gateway.state import Runtime, State

_REMEMBERED = 5000
_CAUGHT_UP_ROWS = 500
_AGAIN_SECONDS = 0.5
_REFUSALS_MAX = 5
"""A restart between reading the token and using it is refused once or twice, not five times in a row."""


class Follower:
    """Shows every finished flow that fits, once."""

    def __init__(self, state: State, wanted: FlowFilter, show: Callable[[dict[str, Any]], None]) -> None:
        """Follow one state directory; ``show`` gets each flow."""
        self._state = state
        self._wanted = wanted
        self._show = show
        self._shown: OrderedDict[str, None] = OrderedDict()
        self._caught_up = False

    def follow(self, lines: int) -> None:
        """Show the last ``lines`` flows and then what comes. Ends only by an exception, Ctrl-C's among them.

        Raises:
            UserError: There is neither a gateway nor a log, or the gateway refuses to be read.
        """
        refusals = 0
        while True:
            runtime = Runtime.read(self._state)
            if runtime is None:
                if not self._caught_up:
                    self._begin_with_the_log(lines)
                note("whygate: no gateway is running. Waiting for one (whygate start); Ctrl-C ends this.")
                runtime = wait_for_gateway(self._state)
            try:
                self._follow_one(runtime, lines)
                refusals = 0
            except httpx2.TransportError:
                refusals = 0
            except UserError:
                refusals += 1
                if refusals == _REFUSALS_MAX:
                    raise
            time.sleep(_AGAIN_SECONDS)  # noqa: TID251 - a command without an event loop

    def _begin_with_the_log(self, lines: int) -> None:
        with open_source(self._state) as source:
            self._show_all(source.newest(self._wanted, lines) if lines else [])
        self._caught_up = True

    def _follow_one(self, runtime: Runtime, lines: int) -> None:
        with PageSource(runtime) as page, page.events() as events:
            # Asked only now that news arrive as well: nothing falls between the two.
            self._catch_up(page, lines)
            for name, data in events:
                if name == "flow":
                    self._show_all([data])
                elif name == "gap":
                    self._catch_up(page, lines)

    def _catch_up(self, page: PageSource, lines: int) -> None:
        rows = page.newest(self._wanted, _CAUGHT_UP_ROWS)
        if not self._caught_up:
            over = [row for row in rows if row["state"] == "done"]
            self._remember(over[lines:])
            rows = over[:lines]
            self._caught_up = True
        self._show_all(rows)

    def _show_all(self, rows: Iterable[dict[str, Any]]) -> None:
        """Show those that are over, fit and were not shown, in the order in which they ended."""
        over = [row for row in rows if row["state"] == "done" and row["id"] not in self._shown]
        for row in sorted(over, key=lambda row: (row["ended_at"] or "", row["seq"])):
            if self._wanted.matches(row):
                self._show(row)
        self._remember(over)

    def _remember(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            if row["state"] == "done":
                self._shown[row["id"]] = None
        while len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
