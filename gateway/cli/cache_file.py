"""The cache's file without a gateway. The directory's lock is held meanwhile, so that none starts on it."""

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable

from gateway._discover import discover
from gateway.cache.backend import Backend, Contents, Place, Store, Wanted
from gateway.cli.screen import UserError
from gateway.state import State

_BACKEND = "sqlite"


def contents(state: State) -> Contents:
    """Say what there is.

    Raises:
        UserError: The file cannot be used.
        StateError: A gateway is just starting or ending.
    """
    return _use(state, lambda store: store.contents())


def clear(state: State, wanted: Wanted) -> int:
    """Remove answers, and give how many they were. Raises as `contents` does."""
    return _use(state, lambda store: store.clear(wanted))


def _use[T](state: State, act: Callable[[Store], Awaitable[T]]) -> T:
    backend = discover("gateway.cache.backends", "BACKEND", Backend)[_BACKEND]
    with state.lock():
        # No cap of ours: it is for the next gateway to make room, not for who looks.
        place = Place(max_bytes=sys.maxsize, directory=state.directory, secret=state.fingerprint_key())
        try:
            return asyncio.run(_used(backend.open(place), act))
        except (OSError, sqlite3.Error) as exc:
            what = f"The cache's file cannot be used: {exc}"
            fix = (
                "Close what else has it open and look at the disk; or remove it (rm): it holds only what can be bought."
            )
            raise UserError(what, str(state.cache_db), fix) from exc


async def _used[T](store: Store, act: Callable[[Store], Awaitable[T]]) -> T:
    try:
        return await act(store)
    finally:
        await store.close()
