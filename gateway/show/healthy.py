"""What the gateway says of itself, as data about data: ``/api/health``, ``/healthz`` and ``/readyz``."""

from gateway.show.schemas import COUNT, NUMBER, SWITCH, TEXT, Schema, many, maybe, one_of, thing, told

HEALTH = thing(
    "What the gateway says of itself.",
    {
        "state": one_of(("starting", "ready", "draining")),
        "version": TEXT,
        "log": thing(
            "How the record fares.",
            {
                "written": COUNT,
                "dropped": COUNT,
                "queued": COUNT,
                "degraded": maybe(told(TEXT, "Why rows are not being written, in words.")),
                "moved_aside": maybe(told(TEXT, "Where a damaged log was moved to.")),
            },
        ),
        "capture": maybe(
            thing(
                "Whole bodies are being kept, of which calls and for how long.",
                {
                    "provider": TEXT,
                    "endpoint": TEXT,
                    "model": TEXT,
                    "left_seconds": NUMBER,
                    "kept": told(COUNT, "Calls so far."),
                    "missed": told(COUNT, "Calls whose bodies were not kept: too many waited to be written."),
                },
            )
        ),
        "team": maybe(
            thing(
                "The gateways that share limits by Redis.",
                {
                    "state": told(one_of(("together", "apart")), "Apart, each keeps to its share of every limit."),
                    "gateways": told(COUNT, "That are here, or were when all last met."),
                    "why": maybe(told(TEXT, "Why they cannot count together, in words.")),
                },
            )
        ),
        "connections": told(COUNT, "Apps' connections that are open."),
        "running": told(COUNT, "Calls that run."),
        "waiting": told(COUNT, "Calls that wait for a limit."),
        "reload": maybe(
            thing("The last SIGHUP.", {"at": TEXT, "ok": SWITCH, "problems": many(TEXT), "restart": many(TEXT)})
        ),
        "tasks": told(COUNT, "Of the event loop. In /api/health alone, as are the next three."),
        "descriptors": maybe(COUNT),
        "reservations": COUNT,
        "pool": thing("Connections to providers.", {"busy": COUNT, "idle": COUNT}),
    },
    frozenset({"team", "reload", "connections", "running", "waiting", "tasks", "descriptors", "reservations", "pool"}),
)

SHAPES: dict[str, Schema] = {
    "Health": HEALTH,
    "State": thing("Whether it answers.", {"state": TEXT}),
    "Ready": thing(
        "Whether it is ready for traffic.",
        {
            "state": TEXT,
            "degraded": {"type": "array", "items": TEXT, "description": "What is not as it should be: log, team."},
        },
    ),
}
