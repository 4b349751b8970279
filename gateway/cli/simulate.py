"""``whygate simulate``: a provider on this machine that answers, limits and fails as told."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import listen_address
from gateway.cli.screen import UserError
from gateway.settings import Address

if TYPE_CHECKING:
    from gateway.simulate import Simulator


def simulate(  # noqa: PLR0917  (its options)
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where it listens.")] = "127.0.0.1:9080",
    rps: Annotated[int | None, typer.Option("--rps", min=1, help="Calls a second and key that it allows.")] = None,
    rpm: Annotated[int | None, typer.Option("--rpm", min=1, help="Calls a minute and key that it allows.")] = None,
    tpm: Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens a minute and key that it allows.")] = None,
    burst: Annotated[
        int | None, typer.Option("--burst", min=1, help="Calls at once; --rpm is then a bucket that refills steadily.")
    ] = None,
    burst_tokens: Annotated[
        int | None, typer.Option("--burst-tokens", min=1, help="Tokens at once; --tpm is then such a bucket.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="Calls of a key at the same time that it allows.")
    ] = None,
    fail_every: Annotated[int | None, typer.Option("--fail-every", min=1, help="Every n-th call fails.")] = None,
) -> None:
    """Run a simulated provider: no key, no internet, no cost.

    Example:  whygate simulate --rpm 1200 --burst 5 --fail-every 10
    """
    import asyncio  # noqa: PLC0415

    from gateway.simulate import SimulatorConfig, build  # noqa: PLC0415

    address = listen_address(listen)
    if address is None or not address.is_loopback:
        raise UserError("The simulator answers anybody, so it stays on this machine", listen, "Use 127.0.0.1:PORT.")
    for given, option, needed, limit in (
        (burst, "--burst", rpm, "--rpm"),
        (burst_tokens, "--burst-tokens", tpm, "--tpm"),
    ):
        if given is not None and needed is None:
            raise UserError(
                f"{option} is the size of a bucket that {limit} refills", f"no {limit} was given", f"Add {limit}."
            )
    config = SimulatorConfig(
        requests_per_second=rps,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        burst=burst,
        burst_tokens=burst_tokens,
        concurrency=concurrency,
        fail_every=fail_every,
    )
    asyncio.run(_until_stopped(build(config), address))


async def _until_stopped(simulator: "Simulator", address: Address) -> None:
    """Serve, and say how to call it."""
    import asyncio  # noqa: PLC0415

    from gateway.simulate import serve  # noqa: PLC0415

    try:
        handle = await serve(simulator, address.host, address.port)
    except OSError as exc:
        what = f"The simulator cannot listen there ({os.strerror(exc.errno or 0)})"
        raise UserError(what, str(address), "Stop what uses that port, or give another: --listen HOST:PORT") from exc
    typer.echo(
        f"A simulated provider answers on {handle.url}. Ctrl-C stops it.\n"
        "\n"
        "Directly:             OPENAI_BASE_URL=" + handle.url + "/v1 OPENAI_API_KEY=any python app.py\n"
        f'Through the gateway:  WHYGATE_PROVIDERS=\'[{{"name": "openai", "upstream": "{handle.url}"}}]\''
        " OPENAI_API_KEY=any whygate run -- python app.py"
    )
    async with handle:
        await asyncio.Event().wait()
