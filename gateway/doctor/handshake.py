"""One TLS handshake as a measurement: verified as those of calls, and what stands behind a certificate that is refused.

A certificate of a connection that was refused for it is not handed out by Python, and often it is only the symptom: a
filter that blocks a name answers with its own certificate and, behind it, with its page. So a second handshake is made
that believes anybody, and one request without any credential is sent on it.
"""

import asyncio

from gateway.doctor.case import Case
from gateway.doctor.measured import Shaken
from gateway.doctor.wire import Connection, context_of, failure_of, fetch, open_straight, open_way, served_by, too_slow
from gateway.model.failure import NetCode, NetFailure, Phase

HANDSHAKE_SECONDS, UNASKED_SECONDS = 2.0, 0.8
LOOK_SECONDS, UNASKED_LOOK_SECONDS = 1.2, 0.7
_OF_CERTIFICATE = frozenset({NetCode.TLS_CERTIFICATE, NetCode.TLS_UNTRUSTED_ISSUER})


async def shake(
    case: Case,
    name: str,
    port: int = 443,
    *,
    address: str = "",
    by: str = "system",
    ca_file: str | None = None,
    seconds: float = 0.0,
    look: bool = True,
) -> Shaken:
    """Connect and shake hands. Raises nothing, and ends within ``seconds``, and `LOOK_SECONDS` more after a refusal.

    Args:
        name: What the handshake asks for, and what the certificate has to be for.
        address: Where to; empty for the way of calls, through the company's proxy where there is one.
        by: As in `Shaken`.
        ca_file: To trust besides what is trusted anyway.
        seconds: 0 for `HANDSHAKE_SECONDS`, or less when nobody asked.
        look: Read a certificate that was refused, and the page behind it.
    """
    seconds = seconds or (HANDSHAKE_SECONDS if case.asked else UNASKED_SECONDS)
    phase = Phase.CONNECT
    via = None if address else case.via
    silent = False
    failure: NetFailure
    try:
        async with asyncio.timeout(seconds):
            connection: Connection
            with await (open_straight(case, address, port) if address else open_way(case, name, port)) as connection:
                phase = Phase.TLS
                await connection.secure(context_of(case, ca_file), name)
                return Shaken(
                    address=address,
                    name=name,
                    by=by,
                    version=connection.version,
                    took_ms=connection.tls_ms,
                    served=served_by(connection.tls),
                )
    except TimeoutError as error:
        silent = phase is Phase.TLS
        late = too_slow(phase, f"{address or name}:{port}", seconds, via)
        failure = failure_of(error, phase) if error.errno is not None else late
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was measured
        failure = failure_of(error, phase)
    found = Shaken(address=address, name=name, by=by, failure=failure, silent=silent)
    return await _looked_at(case, found, port) if look and failure.code in _OF_CERTIFICATE else found


async def _looked_at(case: Case, refused: Shaken, port: int) -> Shaken:
    """Add the certificate, and the page of whoever shows it."""
    host = f"[{refused.name}]" if ":" in refused.name else refused.name
    seconds = LOOK_SECONDS if case.asked else UNASKED_LOOK_SECONDS
    answer = await fetch(case, f"https://{host}:{port}/", address=refused.address, believing=True, seconds=seconds)
    return Shaken(
        address=refused.address,
        name=refused.name,
        by=refused.by,
        served=answer.served,
        page=answer if answer.status else None,
        failure=refused.failure,
    )
