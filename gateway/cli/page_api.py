"""Asking the page API of the gateway that runs, for verbs that need one document of it."""

import http.client
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from gateway.cli.screen import UserError
from gateway.state import Runtime


def ask(
    runtime: Runtime,
    path: str,
    about: str,
    *,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    timeout_seconds: float = 5.0,
) -> dict[str, Any]:
    """Give what the gateway that runs answers. With ``http.client``, as in `gateway.cli.calls` and for its reasons.

    Args:
        about: What a gateway that does not know the path does not tell: ``its limits``.

    Raises:
        UserError: It says nothing, refuses, or says nothing that we understand.
    """
    url = urlsplit(runtime.page_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout_seconds)
    headers = {"Authorization": f"Bearer {runtime.token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        status, content = response.status, response.read()
    except (OSError, http.client.HTTPException) as exc:
        fix = "Look whether it still runs, and try again."
        raise UserError("The gateway stopped answering", runtime.page_url, fix) from exc
    finally:
        connection.close()
    document: Any = None
    with suppress(ValueError, RecursionError):
        document = json.loads(content)
    if status in {http.client.NOT_FOUND, http.client.METHOD_NOT_ALLOWED}:
        what = f"The gateway that runs is of an earlier version, which does not tell {about}"
        raise UserError(what, runtime.page_url, f"Stop it (kill {runtime.pid}), then: whygate start")
    if status != http.client.OK or not isinstance(document, dict):
        told = document.get("error") if isinstance(document, dict) else None
        why = str(told.get("message")) if isinstance(told, dict) else f"status {status}"
        raise UserError(f"The page refused to answer: {why}", f"{runtime.page_url}{path}", "Try again.")
    return document
