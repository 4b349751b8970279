"""``whygate ca``: the certificate authority that apps trust while they go through the gateway."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import StateOption, YesOption, open_state
from gateway.cli.screen import UserError
from gateway.state import Runtime

app = typer.Typer(
    help="The certificate authority of this installation. Example:  whygate ca show", no_args_is_help=True
)

_UNTRUST = """\
If you made something trust it by hand, take that back too:
  Debian, Ubuntu   sudo rm /usr/local/share/ca-certificates/whygate.crt && sudo update-ca-certificates --fresh
  Fedora, RHEL     sudo rm /etc/pki/ca-trust/source/anchors/whygate.crt && sudo update-ca-trust
  macOS            Keychain Access, search "whygate local CA", delete
  Windows          certutil -user -delstore Root "whygate local CA"
  Firefox          Settings, Certificates, Authorities, "whygate"
Terminals that took their variables from `whygate env` must be closed."""


@app.command()
def show(state: StateOption = None) -> None:
    """Say what the certificate is and who trusts it.

    Example:  whygate ca show
    """
    from gateway.authority import load_or_create  # noqa: PLC0415

    directory = open_state(state, create=False)
    if not directory.ca_pem.exists() and not directory.ca_key.exists():
        fix = "It is made at the first start, or now with: whygate ca path"
        raise UserError("There is no certificate authority yet", str(directory.ca_pem), fix)
    authority = load_or_create(directory)
    typer.echo(
        f"Subject      {authority.certificate.subject.rfc4514_string()}\n"
        f"SHA-256      {authority.fingerprint_sha256}\n"
        f"Valid until  {authority.not_after:%Y-%m-%d}\n"
        f"Certificate  {directory.ca_pem}\n"
        f"Key          {directory.ca_key} (readable by you alone; it never leaves this machine)\n"
        "\n"
        "Trusted by whatever runs under `whygate run` or `whygate env`, and by nothing else unless you make it so."
    )


@app.command()
def path(state: StateOption = None) -> None:
    """Print where the certificate is, making it when there is none yet.

    Example:  curl --cacert "$(whygate ca path)" -x http://127.0.0.1:8080 https://api.openai.com/v1/models
    """
    from gateway.authority import load_or_create  # noqa: PLC0415

    directory = open_state(state)
    load_or_create(directory)
    typer.echo(directory.ca_pem)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; - for standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    with_others: Annotated[
        bool, typer.Option("--bundle", help="With the system's certificates, for SSL_CERT_FILE and its like.")
    ] = False,
    state: StateOption = None,
) -> None:
    """Write the certificate, never the key, to a file, for a container or another trust store.

    Example:  whygate ca export whygate.crt
    """
    from gateway.authority import bundle, load_or_create  # noqa: PLC0415

    directory = open_state(state)
    authority = load_or_create(directory)
    pem = bundle(directory, os.environ).read_bytes() if with_others else authority.certificate_pem
    if str(file) == "-":
        typer.echo(pem, nl=False)
        return
    try:
        with file.open("wb" if force else "xb") as target:
            target.write(pem)
    except FileExistsError as exc:
        raise UserError("This file exists already", str(file), "Give another name, or --force.") from exc
    except OSError as exc:
        raise UserError(
            f"The certificate cannot be written ({exc.strerror})", str(file), "Give another place."
        ) from exc
    typer.echo(f"Wrote {file}  (SHA-256 {authority.fingerprint_sha256})")


@app.command()
def remove(yes: YesOption = False, state: StateOption = None) -> None:
    """Delete the authority; the next start makes a new one, which nothing trusts yet.

    Example:  whygate ca remove
    """
    directory = open_state(state, create=False)
    present = [file for file in (directory.ca_key, directory.ca_pem) if file.exists() or file.is_symlink()]
    derived = [directory.ca_bundle_pem, directory.java_truststore_p12]
    if not present:
        typer.echo(f"There is none in {directory.directory}.")
        return
    runtime = Runtime.read(directory)
    if runtime is not None:
        what = f"A gateway (pid {runtime.pid}) uses this authority"
        raise UserError(what, str(directory.directory), f"Stop it first: kill {runtime.pid}")
    names = " and ".join(str(file) for file in present)
    if not yes and not typer.confirm(f"Delete {names}? What trusted it will not trust the next one."):
        typer.echo("Kept.")
        raise typer.Exit(1)
    for file in (*present, *derived):
        file.unlink(missing_ok=True)
    typer.echo(f"Deleted.\n{_UNTRUST}")
