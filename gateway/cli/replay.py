"""``whygate replay ID``: send a call once more, through the gateway, as the app sent it."""

import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import ConfigOption, LangOption, StateOption, YesOption, open_state
from gateway.cli.screen import UserError, agree, note
from gateway.model.secret import STRUCK
from gateway.model.tenant import DEFAULT
from gateway.state import Runtime, State

if TYPE_CHECKING:
    from gateway.record.reproduce import Request

_TIMEOUT_SECONDS = 600.0
_DONE_SECONDS, _LOOK_SECONDS = 5.0, 0.1
_LOOK_TIMEOUT_SECONDS = 10.0
_CAPTURE = "Keep bodies for a while, let the app call again, and replay that call: whygate capture --for 10m"


def replay(  # noqa: PLR0917 - each is an option of the command line
    flow_id: Annotated[str, typer.Argument(metavar="ID", help="An id, or `last` for the last failure.")],
    yes: YesOption = False,
    key_from: Annotated[
        str, typer.Option("--key-from", metavar="NAME", help="The environment variable with the key.")
    ] = "",
    token_from: Annotated[
        str, typer.Option("--token-from", metavar="NAME", help="The environment variable with the tenant's token.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The new call as one JSON object.")] = False,
    lang: LangOption = None,
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; this needs no settings
    state: StateOption = None,
) -> None:
    """Send a call once more, through the gateway, and show what comes of it.

    It asks first: the provider charges for it like for any call. Only calls whose bodies were kept can be sent again
    (see whygate capture), with the key from the provider's usual environment variable. The new call is marked.

    Example:  whygate replay last
    """
    from gateway.cli.handing import aimed  # noqa: PLC0415
    from gateway.cli.readers import flow, show_flow  # noqa: PLC0415
    from gateway.record.har import header_of  # noqa: PLC0415
    from gateway.record.reproduce import request_of  # noqa: PLC0415
    from gateway.record.row import REPLAY  # noqa: PLC0415

    directory = open_state(state, create=False)
    runtime = Runtime.read(directory)
    if runtime is None:
        raise UserError("No gateway is running", "", "Start one: whygate start")
    row = aimed(flow(flow_id, state))
    body = _body(row)
    asked = request_of(row)
    variable = key_from or asked.variable
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise UserError(
            "The key is not in the environment",
            variable,
            f"export {variable}=...  or name another one: --key-from NAME",
        )
    runtime = _as_its_tenant(runtime, row, token_from)
    told = f"{asked.method} {asked.url}, {len(body):,} bytes" + (f", with the key of ${variable}" if variable else "")
    agree(f"Send this again? It may cost money.\n  {told}", yes=yes)
    headers = dict(asked.headers) | {REPLAY.decode(): str(row["id"]), "x-whygate-cache": "no-cache"}
    if body:
        headers["content-type"] = header_of(row, "content-type") or "application/json"
    if variable:
        headers[asked.key_header] = f"Bearer {key}" if asked.key_header == "authorization" else key
    new_id, status = _send(runtime, directory, asked, headers, body)
    note(f"Sent again: status {status}.")
    _wait_for(new_id, state)
    show_flow(new_id, state, lang, as_json=as_json)
    if status >= 400:
        raise typer.Exit(1)


def _body(row: Mapping[str, Any]) -> bytes:
    """Give what was sent.

    Raises:
        UserError: It was not kept, or not as it was.
    """
    kept, flow_id = row.get("request_body"), str(row["id"])
    if row.get("kind") != "api":
        raise UserError(
            "Only calls can be sent again, no tunnels and no WebSockets", flow_id, "List calls: whygate flows"
        )
    if kept is None and row.get("request_bytes"):
        raise UserError("The body of this call was not kept, so it cannot be sent again", flow_id, _CAPTURE)
    body = str(kept or "").encode()
    if len(body) != row.get("request_bytes", len(body)) or STRUCK in str(kept):
        what = "The body of this call was not kept as it was: it was long, packed, or held a credential"
        raise UserError(what, flow_id, "Let the app call again instead.")
    return body


def _as_its_tenant(runtime: Runtime, row: Mapping[str, Any], token_from: str) -> Runtime:
    """Give the gateway with the token of the tenant whose call it was, so that it is its call again.

    Raises:
        UserError: The token is not here, or is not that tenant's.
    """
    import httpx2  # noqa: PLC0415

    tenant = str(row.get("tenant") or DEFAULT)
    if not runtime.asks_for_token or (tenant == DEFAULT and runtime.listen_token):
        return runtime
    token = os.environ.get(token_from, "") if token_from else ""
    if not token:
        raise UserError(
            f"This call is of the tenant {tenant}, and its token is not known here",
            token_from,
            "Put the token into a variable and name it: --token-from NAME",
        )
    try:
        seen = httpx2.get(
            f"{runtime.page_url}/api/flows/{row['id']}",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=_LOOK_TIMEOUT_SECONDS,
        ).status_code
    except httpx2.TransportError as exc:
        raise UserError(f"The page did not answer: {type(exc).__name__}", runtime.page_url, "whygate start") from exc
    if seen != HTTPStatus.OK:
        raise UserError(
            f"What ${token_from} holds is not the token of the tenant {tenant}",
            "",
            "Name another variable: --token-from NAME",
        )
    return replace(runtime, listen_token=token)


def _wait_for(flow_id: str, state: Path | None) -> None:
    """Wait until the log says how it ended, though not for long: what it says so far is shown then."""
    from gateway.cli.readers import flow  # noqa: PLC0415

    end = time.monotonic() + _DONE_SECONDS
    while flow(flow_id, state)["state"] != "done" and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)  # noqa: TID251 - the command line has no event loop


def _send(runtime: Runtime, state: State, asked: "Request", headers: Mapping[str, str], body: bytes) -> tuple[str, int]:
    """Send it through the gateway. Gives the id of the new call and its status."""
    import httpx2  # noqa: PLC0415

    context = ssl.create_default_context(cafile=str(state.ca_pem))
    try:
        with (
            httpx2.Client(proxy=runtime.proxy_url, verify=context, trust_env=False, timeout=_TIMEOUT_SECONDS) as client,
            client.stream(asked.method, asked.url, headers=dict(headers), content=body) as answer,
        ):
            for _ in answer.iter_raw():
                pass
            return answer.headers.get("x-whygate-flow-id", ""), answer.status_code
    except httpx2.TransportError as exc:
        raise UserError(
            f"It could not be sent: {type(exc).__name__}", runtime.listen_url, "See why: whygate flows"
        ) from exc
