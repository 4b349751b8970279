"""Settings of what others measure the gateway by."""

from typing import Literal

from gateway.settings.section import Section, setting


class Observe(Section):
    """What the gateway tells programs that watch it. /metrics of the page's address is always there."""

    log: Literal["text", "json"] = setting(
        "text",
        'How `whygate start` speaks: "text" for people, "json" for programs that gather logs. Then each line of its'
        " stderr is one JSON object, one for each finished call among them; nothing goes to stdout, and no token is"
        " printed.",
        unit='"text" or "json"',
    )
    otel: bool | None = setting(
        None,
        "Whether calls are told as OpenTelemetry spans and metrics, over OTLP/HTTP to where the OTEL_EXPORTER_OTLP_*"
        " variables say. Left out, they are where OTEL_EXPORTER_OTLP_ENDPOINT, or that of traces or metrics alone, is"
        " set. Needs: pip install 'whygate[otel]'. No prompts, answers or keys are told.",
        unit="true or false",
        example="true",
    )
