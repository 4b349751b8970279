"""``whygate demo``: all of it at once, without a key and without the internet."""

from typing import Annotated

import typer

from gateway.cli.screen import UserError
from gateway.state import StateError


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Afterwards stay until Ctrl-C, to look at the status page.")
    ] = False,
) -> None:
    """Show what the gateway does: a simulated provider, the gateway, and an app that knows of neither.

    Example:  whygate demo
    """
    from gateway.demo import run_demo  # noqa: PLC0415  (300 ms of imports that no other verb needs)
    from gateway.demo.children import DemoError  # noqa: PLC0415

    try:
        code = run_demo(keep=keep)
    except (DemoError, StateError) as exc:
        raise UserError(exc.what, exc.where, exc.fix, exit_code=1) from exc
    raise typer.Exit(code)
