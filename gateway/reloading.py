"""Settings that are read again while the gateway runs, on SIGHUP: all of what may change then, or nothing.

A file with a mistake changes nothing, and the mistake is said. What cannot change while the gateway runs is named.
Calls that run end with what they began with: the stages are exchanged between two calls, in one step.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from gateway.asgi import Gateway
from gateway.cache.shelf import Shelf
from gateway.checkups import Checkups
from gateway.compose import cache_rules, fallbacks, fence_of, identifier, idle_seconds, limit_rules
from gateway.diagnose.remedy import words
from gateway.egress.fence import Fence
from gateway.egress.retry import RetryPolicy
from gateway.limit.renew import renew
from gateway.model.clock import Clock
from gateway.record.recorder import Recorder
from gateway.record.row import utc_text
from gateway.settings import ConfigError, Settings

READ_SECONDS = 10.0
"""A file on a share that hangs must not hang us."""

LIVE = (
    "limits.*", "retry.*", "cache.enabled", "cache.ttl_seconds", "cache.stale_if_error_seconds", "cache.rules",
    "record.*", "network.idle_seconds", "network.idle", "diagnose.*", "doctor.*", "listen.allow_hosts",
    "listen.drain_seconds", "listen.edit", "listen.*_per_client", "listen.connections_max", "providers", "fallback",
)  # fmt: skip
"""Globs over keys. Whatever is not here needs a restart, also a key that somebody adds and forgets."""

logger = logging.getLogger("whygate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is told of other settings.

    Attributes:
        bounds: None where only this machine's own come.
        shelf: The cache, None when it was off at the start.
        others: Told of the settings in force, at the end; must not raise.
    """

    app: Gateway
    recorder: Recorder
    checkups: Checkups
    bounds: Fence | None
    shelf: Shelf | None
    others: Sequence[Callable[[Settings], None]] = ()


class Reloading:
    """Reads the settings again when it is asked to.

    Args:
        read: Gives the settings that the sources hold now. Raises ConfigError.
        settings: Those that the gateway was started with.
    """

    def __init__(self, read: Callable[[], Settings], settings: Settings, parts: Parts, clock: Clock) -> None:
        self.settings = settings
        self._read, self._parts, self._clock = read, parts, clock
        self._asked = asyncio.Event()
        self._last: dict[str, Any] | None = None

    def ask(self) -> None:
        """Have them read; asked several times meanwhile, once."""
        self._asked.set()

    def view(self) -> dict[str, Any] | None:
        """Give how it went the last time, for ``/api/health``; None when nobody has asked."""
        return self._last

    async def run(self) -> None:
        """Wait to be asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        problems: tuple[str, ...] = ()
        restart: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(READ_SECONDS):
                wanted = await asyncio.to_thread(self._read)
            changed, restart = self._apply(wanted)
        except ConfigError as error:
            problems = tuple(" ".join(str(problem).split()) for problem in error.problems)
        except TimeoutError:
            problems = (f"they could not be read within {READ_SECONDS:.0f} s",)
        except Exception as error:  # whatever it is, calls go on
            logger.exception("the settings could not be read again")
            problems = (f"{type(error).__name__} in whygate itself",)
        for problem in problems:
            logger.warning("whygate: settings not taken: %s", problem)
        if problems:
            logger.warning("whygate: the settings from before stay in force")
        else:
            what = ", ".join(changed) if changed else "nothing that changes now"
            logger.warning("whygate: settings were read again: %s", what)
        for key in restart:
            logger.warning("whygate: needs a restart: %s", key)
        self._last = {
            "at": utc_text(self._clock.wall()),
            "ok": not problems,
            "problems": list(problems),
            "restart": list(restart),
        }

    def _apply(self, wanted: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Put settings in force. All that may fail comes first; from there on nothing does, and nothing waits.

        Returns:
            The keys that changed, and those that need a restart.
        """
        parts, stages = self._parts, self._parts.app.stages
        changed, restart, settings = compared(self.settings, wanted, can_cache=parts.shelf is not None)
        words(settings.diagnose.language)
        limits, retry, cache, record = settings.limits, settings.retry, settings.cache, settings.record
        rules, stored_rules = limit_rules(settings), cache_rules(settings)
        checked = parts.checkups.prepared(settings)
        new = replace(
            stages,
            identifier=identifier(settings, stages.secret, stages.estimates, before=stages.identifier),
            cache=parts.shelf if cache.enabled else None,
            policy=RetryPolicy(max_attempts=retry.max_attempts, strict=retry.strict),
            language=settings.diagnose.language,
            idle_seconds=idle_seconds(settings),
            fallbacks=fallbacks(settings),
        )
        if parts.bounds is not None:
            parts.bounds.renew(*fence_of(settings, parts.checkups.ways))
        renew(
            new.gate,
            rules,
            queue_max=limits.queue_max,
            queue_max_bytes=limits.queue_max_bytes,
            shadow=limits.shadow,
        )
        new.budget.renew(retry.budget_ratio, retry.budget_min)
        if parts.shelf is not None:
            parts.shelf.renew(stored_rules, float(cache.ttl_seconds), float(cache.stale_if_error_seconds))
        parts.recorder.renew(max_age_days=record.max_age_days, max_bytes=record.max_bytes, bodies=record.bodies)
        parts.checkups.take(checked)
        self.settings = settings
        for told in parts.others:
            told(settings)
        parts.app.stages = new
        return changed, restart


def compared(
    old: Settings, new: Settings, *, can_cache: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...], Settings]:
    """Tell what changes at once from what cannot.

    Args:
        can_cache: The cache was on at the start, so it can be turned off and on again.

    Returns:
        Keys of both kinds, in the order of the file, and the settings that are in force then.
    """
    changed, restart, kept = list[str](), list[str](), dict[str, dict[str, Any]]()
    for section, field in type(new).model_fields.items():
        before, after = getattr(old, section), getattr(new, section)
        inner = getattr(field.annotation, "model_fields", None)
        keys = (section,) if inner is None else tuple(f"{section}.{name}" for name in inner)
        for key in keys:
            name = key.rpartition(".")[2]
            was, is_ = (before, after) if inner is None else (getattr(before, name), getattr(after, name))
            if was == is_:
                continue
            live = any(fnmatchcase(key, glob) for glob in LIVE)
            if live and (can_cache or key != "cache.enabled"):
                changed.append(key)
            else:
                restart.append(key)
                kept.setdefault(section, {})[name] = was
    in_force = {
        section: names[section] if section in names else getattr(new, section).model_copy(update=names)
        for section, names in kept.items()
    }
    return tuple(changed), tuple(restart), new.model_copy(update=in_force)


class Hangup:
    """Tells a SIGHUP that somebody sent from the one of a terminal that was closed.

    Args:
        reload: Called for the first kind.
        end: Called for the second, unless the gateway was started to outlive its terminal (``nohup``).
    """

    def __init__(self, reload: Callable[[], None], end: Callable[[], None]) -> None:
        self._reload, self._end = reload, end
        self._outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or not _has_terminal()

    def __call__(self) -> None:
        """Act on one."""
        if self._outlives or _has_terminal():
            self._reload()
        else:
            self._end()


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
