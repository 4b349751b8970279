"""``whygate demo``: all of it at once, without a key and without the internet."""

import typer


def demo() -> None:
    """Show what the gateway does: a simulated provider, the gateway, and an app that knows of neither.

    Example:  whygate demo
    """
    from gateway.demo import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo())
