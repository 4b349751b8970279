"""Keeps what tenants have used of their budgets in the state directory, so that a restart gives nobody a new one."""

import asyncio
import json
import logging
import math
from pathlib import Path
from typing import Any

from gateway import files
from gateway.budgets import LocalBudgets
from gateway.files import StateError
from gateway.model.tenant import Spent

FILE_NAME = "budgets.json"
SAVE_SECONDS = 1.0
VERSION = 1

logger = logging.getLogger("whygate")


class KeptBudgets:
    """The file. Whatever fails here stops no call."""

    def __init__(self, path: Path, counted: LocalBudgets) -> None:
        self._path, self._counted = path, counted
        self._saved = 0
        self._complained = False

    def load(self) -> None:
        """Read what an earlier gateway has counted."""
        try:
            document = json.loads(files.read_private(self._path))
            for tenant, day, spent in _entries(document):
                self._counted.put(tenant, day, spent)
        except FileNotFoundError:
            return
        except (StateError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = error if isinstance(error, StateError) else f"{self._path} is damaged"
            logger.warning("whygate: %s; today's budgets are counted anew.", what)
        self._saved = self._counted.changes

    async def run(self) -> None:
        """Save once a second while there is something new, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if self._counted.changes != self._saved:
                number, document = self._document()
                if await asyncio.to_thread(self._write, document):
                    self._saved = number

    def save(self) -> None:
        """Save now."""
        if self._counted.changes != self._saved:
            self._write(self._document()[1])

    def _document(self) -> tuple[int, dict[str, Any]]:
        tenants = {tenant: [day, *spent] for tenant, (day, spent) in self._counted.counted.items()}
        return self._counted.changes, {"version": VERSION, "tenants": tenants}

    def _write(self, document: dict[str, Any]) -> bool:
        try:
            files.replace(self._path, json.dumps(document, separators=(",", ":")).encode())
        except (StateError, OSError) as error:
            if not self._complained:
                self._complained = True
                logger.warning("whygate: %s; what is used of budgets is forgotten with the next restart.", error)
            return False
        self._complained = False
        return True


def _entries(document: Any) -> list[tuple[str, str, Spent]]:
    if document["version"] != VERSION:
        raise ValueError(document["version"])
    return [(str(name), str(day), _spent(*amounts)) for name, (day, *amounts) in document["tenants"].items()]


def _spent(requests: Any, tokens: Any, dollars: Any) -> Spent:
    if type(requests) is not int or type(tokens) is not int or type(dollars) not in {int, float}:
        raise ValueError("no numbers")
    if requests < 0 or tokens < 0 or not (math.isfinite(dollars) and dollars >= 0):
        raise ValueError("numbers that cannot be")
    return Spent(requests, tokens, float(dollars))
