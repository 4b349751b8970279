"""``whygate simulate``: a provider on this machine that answers, limits and fails as told."""

import os
from typing import Annotated

import typer

from gateway.cli.options import listen_address
from gateway.cli.screen import UserError


def simulate(
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where it listens.")] = "127.0.0.1:9080",
    rps: Annotated[int | None, typer.Option("--rps", min=1, help="Calls a second and key that it allows.")] = None,
    rpm: Annotated[int | None, typer.Option("--rpm", min=1, help="Calls a minute and key that it allows.")] = None,
    fail_every: Annotated[int | None, typer.Option("--fail-every", min=1, help="Every n-th call fails.")] = None,
) -> None:
    """Run a simulated provider: no key, no internet, no cost.

    Example:  whygate simulate --rps 5 --fail-every 10
    """
    import asyncio  # noqa: PLC0415

    from gateway.simulate import SimulatorConfig, build, serve  # noqa: PLC0415

    address = listen_address(listen)
    if address is None or not address.is_loopback:
        raise UserError("The simulator answers anybody, so it stays on this machine", listen, "Use 127.0.0.1:PORT.")
    simulator = build(SimulatorConfig(requests_per_second=rps, requests_per_minute=rpm, fail_every=fail_every))

    async def until_stopped() -> None:
        try:
            handle = await serve(simulator, address.host, address.port)
        except OSError as exc:
            what = f"The simulator cannot listen there ({os.strerror(exc.errno or 0)})"
            raise UserError(
                what, str(address), "Stop what uses that port, or give another: --listen HOST:PORT"
            ) from exc
        typer.echo(
            f"A simulated provider answers on {handle.url}. Ctrl-C stops it.\n"
            "\n"
            "Directly:             OPENAI_BASE_URL=" + handle.url + "/v1 OPENAI_API_KEY=any python app.py\n"
            f'Through the gateway:  WHYGATE_PROVIDERS=\'[{{"name": "openai", "upstream": "{handle.url}"}}]\''
            " OPENAI_API_KEY=any whygate run -- python app.py"
        )
        async with handle:
            await asyncio.Event().wait()

    asyncio.run(until_stopped())
