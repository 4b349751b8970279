"""All verbs, in the groups in which ``whygate --help`` shows them."""

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from gateway.cli import (
    bundle,
    ca,
    cache,
    capture,
    config,
    demo,
    doctor,
    env,
    explain,
    export,
    limits,
    replay,
    run,
    simulate,
    start,
)

RUN, LOOK, SET_UP = "Run", "Look", "Set up"

app = typer.Typer(
    name="whygate",
    help="A gateway on your machine for calls to LLM APIs: paces them, retries them, and says why one failed.",
    epilog="First steps:  whygate demo   |   whygate run -- python app.py   |   whygate start",
    no_args_is_help=True,
    # Values of variables in a traceback could be keys.
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from gateway.version import version  # noqa: PLC0415

        typer.echo(f"whygate {version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


app.command("demo", rich_help_panel=RUN)(demo.demo)
app.command("run", rich_help_panel=RUN, context_settings={"allow_interspersed_args": False})(run.run)
app.command("start", rich_help_panel=RUN)(start.start)
app.command("env", rich_help_panel=RUN)(env.env)
app.command("simulate", rich_help_panel=RUN)(simulate.simulate)
app.command("doctor", rich_help_panel=LOOK)(doctor.doctor)
app.command("explain", rich_help_panel=LOOK)(explain.explain)
app.command("limits", rich_help_panel=LOOK)(limits.limits)
app.command("replay", rich_help_panel=LOOK)(replay.replay)
app.command("capture", rich_help_panel=LOOK)(capture.capture)
app.add_typer(cache.app, name="cache", rich_help_panel=LOOK)
app.command("export", rich_help_panel=LOOK)(export.export)
app.command("bundle", rich_help_panel=LOOK)(bundle.bundle)
app.add_typer(ca.app, name="ca", rich_help_panel=SET_UP)
app.add_typer(config.app, name="config", rich_help_panel=SET_UP)

if find_spec("gateway.cli.readers"):
    import_module("gateway.cli.readers").register(app)
