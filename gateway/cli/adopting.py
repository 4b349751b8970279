"""Asking the gateway that runs to take on a base URL that nobody wrote into its settings."""

import http.client
import json
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.state import Runtime

_TIMEOUT_SECONDS = 2.0


class Adopted(NamedTuple):
    """What the gateway said; with neither, it is too old to be asked, or does not answer."""

    path: str = ""
    refusal: str = ""


def adopt(runtime: Runtime, base_url: str) -> Adopted:
    """Give the path on the gateway that leads to a base URL. With ``http.client``, as `calls_since` does and why."""
    url = urlsplit(runtime.page_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_TIMEOUT_SECONDS)
    headers = {"Authorization": f"Bearer {runtime.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/api/providers", json.dumps({"base_url": base_url}), headers)
        response = connection.getresponse()
        document = json.loads(response.read())
        if response.status == http.client.OK:
            return Adopted(path=str(document["base_path"]))
        if response.status == http.client.BAD_REQUEST:
            return Adopted(refusal=str(document["error"]["message"]))
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return Adopted()
