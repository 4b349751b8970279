"""Whether OpenTelemetry is wanted: by the settings, else by the variables that its own SDKs go by. Pure.

Source of the variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (read 2026-11-22).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_SPOKEN = "http/protobuf"
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


class Wanted(NamedTuple):
    """What is wanted.

    Attributes:
        problem: Why it cannot be done: what, where and how to mend it; None when it can.
    """

    traces: bool = False
    metrics: bool = False
    problem: tuple[str, str, str] | None = None


def wanted(setting: bool | None, env: Mapping[str, str]) -> Wanted:  # noqa: FBT001 - as it stands in the settings
    """Say what is wanted. A setting wins over the variables; ``OTEL_SDK_DISABLED`` and ``none`` end it."""
    if setting is False or env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted()
    found = []
    for signal in ("TRACES", "METRICS"):
        endpoint = env.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or env.get(_ENDPOINT)
        off = env.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none"
        found.append((setting is True or bool(endpoint)) and not off)
    names = [f"OTEL_EXPORTER_OTLP_{one}" for one, on in zip(("TRACES", "METRICS"), found, strict=True) if on]
    return Wanted(found[0], found[1], _problem(names, env) if names else None)


def _problem(names: list[str], env: Mapping[str, str]) -> tuple[str, str, str] | None:
    off = "or say [observe] otel = false"
    for variable in (*(f"{name}_PROTOCOL" for name in names), _PROTOCOL):
        said = env.get(variable, "").strip()
        if said and said != _SPOKEN:
            what = "OpenTelemetry is told over OTLP/HTTP with protobuf alone"
            return what, f"{variable}={said}", f"Set {variable}={_SPOKEN} and the collector's HTTP port (4318), {off}"
    for variable in (*(f"{name}_ENDPOINT" for name in names), _ENDPOINT):
        said = env.get(variable, "").strip()
        if said and not said.startswith(("http://", "https://")):
            # The address is not repeated: it may hold a credential.
            return "The address of the collector has to begin with http:// or https://", variable, f"Correct it, {off}"
    for variable in (*(f"{name}_TIMEOUT" for name in names), "OTEL_EXPORTER_OTLP_TIMEOUT"):
        said = env.get(variable, "").strip()
        if said and not _SECONDS.fullmatch(said):
            # Its SDK would take its own default without a word.
            return "A number of seconds is expected", f"{variable}={said[:40]}", f"Correct it, {off}"
    return None
