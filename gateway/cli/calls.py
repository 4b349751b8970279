"""The rows of the calls that were made while a command ran, asked from the page's API."""

import http.client
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from gateway.state import Runtime

_TIMEOUT_SECONDS = 2.0
_ROWS_A_PAGE = 500
_PAGES_MAX = 20
"""10,000 rows say enough about one command."""


def calls_since(runtime: Runtime, since: datetime) -> list[dict[str, Any]] | None:
    """Give the rows since a time (UTC), newest first, as `FlowRow.as_dict` gives them; None when it cannot tell.

    With ``http.client``, not our usual HTTP client: this runs after every command, on loopback, and importing that
    client takes longer than the whole question. It also looks at no proxy variable.
    """
    url = urlsplit(runtime.page_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_TIMEOUT_SECONDS)
    query = {"since": since.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "limit": str(_ROWS_A_PAGE)}
    rows: list[dict[str, Any]] = []
    try:
        for _ in range(_PAGES_MAX):
            connection.request(
                "GET", f"/api/flows?{urlencode(query)}", headers={"Authorization": f"Bearer {runtime.token}"}
            )
            response = connection.getresponse()
            document = json.loads(response.read())
            if response.status != http.client.OK:
                return None
            rows += [row for row in document["flows"] if isinstance(row, dict)]
            if not document.get("next_cursor") or not document["flows"]:
                break
            query["cursor"] = str(document["next_cursor"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        # Not worth a word more: the command itself is done, and the log has everything.
        return None
    else:
        return rows
    finally:
        connection.close()
