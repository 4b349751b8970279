"""The shapes of what the page's API answers, as JSON Schema (2020-12, which OpenAPI 3.1 uses). Data; no logic.

A property is required unless it stands in ``optional``. Others may come: readers ignore what they do not know.
"""

from typing import Any, get_args

from gateway.cache.counts import WORDS
from gateway.diagnose.remedy import LANGUAGES
from gateway.model.cause import Again, Cause, Fault, Precision
from gateway.model.flow import Kind, State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SWITCH: Schema = {"type": "boolean"}


def told(schema: Schema, description: str) -> Schema:
    """Give a schema with a description."""
    return {**schema, "description": description}


def one_of(values: Any, description: str = "") -> Schema:
    """Give a text that is one of some."""
    return {"type": "string", "enum": list(values), **({"description": description} if description else {})}


def maybe(schema: Schema) -> Schema:
    """Give a schema that allows null as well."""
    if "type" not in schema or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def many(schema: Schema, description: str = "") -> Schema:
    """Give a list."""
    return {"type": "array", "items": schema, **({"description": description} if description else {})}


def thing(description: str, properties: dict[str, Schema], optional: frozenset[str] = frozenset()) -> Schema:
    """Give an object."""
    return {
        "type": "object",
        "description": description,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def ref(name: str) -> Schema:
    """Point at one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


NUMBER: Schema = {"type": "number"}
MS: Schema = {"type": "number", "minimum": 0, "description": "Milliseconds."}
MOMENT: Schema = {"type": "string", "format": "date-time", "description": "ISO 8601, UTC, with milliseconds."}
_SLUG: Schema = {"type": "string", "pattern": r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)?$", "examples": ["rate_limit.tokens"]}
_PAIRS = many({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}, "Pairs of a name and a value.")
_FAULT = one_of(Fault, "Who can fix it.")

_ERROR = thing(
    "What every refused request is answered with.",
    {
        "error": thing(
            "What happened and what to do.",
            {"code": told(TEXT, "Stable; for programs."), "message": told(TEXT, "For people.")},
        )
    },
)

_PHASE = thing(
    "A part of an attempt.", {"name": TEXT, "start_ms": MS, "end_ms": MS, "ok": told(SWITCH, "It did not fail here.")}
)
_ATTEMPT = thing(
    "One request that was sent for a flow, or was meant to be.",
    {
        "n": told(COUNT, "From 1."),
        "waited_ms": told(MS, "Milliseconds from the try before it to this one, our queue included."),
        "queued_ms": told(MS, "Milliseconds in our queue before it; `queue_ms` holds them, too. Older rows have none."),
        "phases": many(ref("Phase"), "In time; each counts from the attempt's beginning."),
        "status": maybe(told({"type": "integer"}, "Of the answer's head; null where none came.")),
        "failure": maybe(
            thing(
                "How it failed on the network.",
                {"phase": TEXT, "code": TEXT, "detail": TEXT, "sent": told(SWITCH, "Bytes of the request had left.")},
            )
        ),
        "fallback": told(TEXT, "Whom it went to in the provider's place."),
    },
    frozenset({"fallback", "queued_ms"}),
)

_CLUE = thing("One thing that was seen.", {"text": told(TEXT, "With placeholders."), "facts": _PAIRS})
_DIAGNOSIS = thing(
    "Why a call failed, in the words that every part of the gateway shows.",
    {
        "cause": _SLUG,
        "fault": maybe(_FAULT),
        "precision": one_of(Precision, "How sure it is."),
        "title": told(TEXT, "A few words."),
        "what_happened": told(TEXT, "One sentence about this call."),
        "evidence": many(TEXT, "What was seen, one fact a line."),
        "ruled_out": many(thing("A cause that it is not.", {"cause": _SLUG, "why": TEXT, "clue": ref("Clue")})),
        "alternatives": many(_SLUG, "Causes that fit as well."),
        "what_to_do": many(TEXT, "The likeliest first."),
        "vendor": told(TEXT, "The product on the path that answered; empty when none did."),
        "author": told(TEXT, "Who wrote the answer; empty when nobody did."),
        "waiting_helps": SWITCH,
        "wait_seconds": maybe(told(NUMBER, "How long, when somebody said.")),
        "facts": _PAIRS,
        "clues": many(ref("Clue"), "What the evidence was made of."),
        "language": told(TEXT, "Of all texts here (ISO 639-1)."),
    },
    frozenset({"vendor", "author", "waiting_helps", "wait_seconds", "facts", "clues", "language"}),
)

_FLOW = thing(
    "One call, tunnel or WebSocket.",
    {
        "id": told(TEXT, "Also in the header x-whygate-flow-id of its answer."),
        "seq": told(COUNT, "Strictly increasing in the order of arrival."),
        "rev": told(COUNT, "Increases with each change of this flow: of two forms of it, the higher is the later."),
        "state": one_of(State, "Where it stands; it only moves forward."),
        "started_at": MOMENT,
        "kind": one_of(get_args(Kind)),
        "wait_reason": maybe(told(TEXT, "Why it waits, in words.")),
        "eta_ms": maybe(told({"type": "integer"}, "Milliseconds until it goes on, as far as is known.")),
        "ended_at": maybe(MOMENT),
        "client": told(TEXT, "Address and port of the app's connection."),
        "app": told(TEXT, "The program behind it and its process id, where it could be found out."),
        "tenant": TEXT,
        "key": told(TEXT, "Fingerprint of the key; never the key."),
        "provider": TEXT,
        "method": TEXT,
        "host": TEXT,
        "upstream": told(TEXT, "Where a call by base URL went; empty for all others."),
        "path": told(TEXT, "Without what could be secret in it."),
        "endpoint": TEXT,
        "model": TEXT,
        "stream": SWITCH,
        "status": maybe(told({"type": "integer"}, "What the app got; null where it got no answer.")),
        "cause": maybe(told(_SLUG, "Null on success.")),
        "fault": maybe(_FAULT),
        "precision": maybe(one_of(Precision)),
        "attempts": many(ref("Attempt")),
        "queue_ms": MS,
        "overhead_ms": maybe(told(MS, "Milliseconds that the gateway itself took.")),
        "ttft_ms": maybe(told(MS, "Milliseconds to the first byte.")),
        "total_ms": maybe(MS),
        "tokens_in": maybe(COUNT),
        "tokens_out": maybe(COUNT),
        "tokens_estimated": SWITCH,
        "cost_usd": maybe(told(NUMBER, "US dollars, about; null where no price is known. Not in the live feed.")),
        "saved_usd": maybe(told(NUMBER, "What an answer from the cache would have cost. Not in the live feed.")),
        "events": {"anyOf": [ref("Events"), {"type": "null"}]},
        "cache": one_of(("none", *WORDS), "What the cache did."),
        "possible_duplicate": told(SWITCH, "The provider may have done the work twice."),
        "fallback": told(TEXT, "Who answered in the provider's place; empty when nobody did."),
        "shadow": maybe(
            thing("How it would have waited, were limits kept.", {"wait_ms": maybe(NUMBER), "reason": TEXT})
        ),
        "diagnosis": {"anyOf": [ref("Diagnosis"), {"type": "null"}]},
        "request_headers": told(_PAIRS, "Those that are kept."),
        "response_headers": told(_PAIRS, "Those that are kept."),
        "body": maybe(told(TEXT, "Start of a failed answer, without secrets. In lists always null.")),
        "request_body": maybe(told(TEXT, "Of a call whose bodies were to be kept. In lists always null.")),
        "request_bytes": told(COUNT, "Length of the request's body."),
        "replay_of": told(TEXT, "The id of the call that this one repeats; empty for all others."),
    },
    frozenset({"cost_usd", "saved_usd"}),
)

_EVENTS = thing(
    "When the events of a stream came, in milliseconds from the call's arrival.",
    {
        "count": COUNT,
        "bytes": COUNT,
        "began_ms": MS,
        "bucket_ms": COUNT,
        "counts": many(COUNT, "Events in each bucket from `began_ms` on."),
        "gap_ms": told(MS, "The longest silence between two."),
        "gap_at_ms": maybe(MS),
    },
)

_LIMIT = thing(
    "One limit of a scope.",
    {
        "kind": told(TEXT, "What is counted: requests, tokens, concurrency, ..."),
        "limit": NUMBER,
        "window_seconds": maybe(NUMBER),
        "burst": maybe(NUMBER),
        "source": told(TEXT, "configured, headers, refusal or observed."),
        "remembered": told(SWITCH, "Known from an earlier run."),
        "learned_seconds_ago": maybe(NUMBER),
        "level": told(NUMBER, "What is left."),
        "level_ratio": {"type": "number", "minimum": 0, "maximum": 1},
        "refill_per_second": maybe(NUMBER),
        "foreign_per_second": told(NUMBER, "What others spend of it."),
        "enforced": SWITCH,
    },
)
_USER = thing(
    "Who uses a scope.",
    {"tenant": TEXT, "key": TEXT, "client": TEXT, "in_flight": COUNT, "queued": COUNT, "calls": COUNT},
)
_SCOPE = thing(
    "Calls that share limits: provider, account and model.",
    {
        "provider": TEXT,
        "account": TEXT,
        "account_kind": one_of(("organisation", "key")),
        "model": TEXT,
        "state": one_of(("paused", "waiting", "open", "starting")),
        "paused_ms": maybe(COUNT),
        "pause_reason": maybe(TEXT),
        "limits": many(ref("Limit")),
        "in_flight": COUNT,
        "queued": COUNT,
        "next_eta_ms": maybe({"type": "integer"}),
        "last_eta_ms": maybe({"type": "integer"}),
        "demand_per_second": NUMBER,
        "next_429_seconds": maybe(told(NUMBER, "When the provider would refuse, were nobody held back.")),
        "users": many(ref("User")),
    },
)
_LIMITS = thing(
    "Every limit that is known; the scope that was used last comes first.",
    {
        "shadow": told(SWITCH, "Limits are only watched."),
        "waiting": COUNT,
        "waiting_bytes": COUNT,
        "queue_max": COUNT,
        "queue_max_bytes": COUNT,
        "scopes": many(ref("Scope")),
    },
)

_CACHE_RULE = thing(
    "What the operator lets the cache take.",
    {
        "name": TEXT,
        "provider": TEXT,
        "endpoint": TEXT,
        "model": TEXT,
        "system_sha256": many(TEXT),
        "header": many(TEXT, "Names; values may be private."),
        "match": many(TEXT, "Places in the body; values may be private."),
        "ttl_seconds": NUMBER,
        "shared": told(SWITCH, "Answers may cross from one key to another."),
    },
)
_CACHE_SUGGESTION = thing(
    "A kind of request that is worth a rule and has none.",
    {
        "provider": TEXT,
        "endpoint": TEXT,
        "model": TEXT,
        "system_sha256": TEXT,
        "seen": COUNT,
        "prompts": told(COUNT, "Different ones."),
        "size_bytes": COUNT,
        "calls": told(COUNT, "Those that a cache would have answered."),
        "tokens_in": COUNT,
        "tokens_out": COUNT,
        "varied": told(SWITCH, "Half of them or more ask for an answer that differs each time."),
        "usd": maybe(told(NUMBER, "US dollars that it would have saved.")),
        "rule": told(TEXT, "The rule, as TOML."),
    },
)
_CACHE_KIND = thing(
    "Answers of one kind.",
    {
        "provider": TEXT,
        "endpoint": TEXT,
        "model": TEXT,
        "rule": TEXT,
        "key": TEXT,
        "entries": COUNT,
        "size_bytes": COUNT,
    },
)
_CACHE_THAT_IS_ON: dict[str, Schema] = {
    "backend": TEXT,
    "degraded": maybe(TEXT),
    "max_bytes": COUNT,
    "damaged": maybe(COUNT),
    "entries": maybe(told(COUNT, "Null while the store cannot be used, like the other counts.")),
    "size_bytes": maybe(COUNT),
    "disk_bytes": maybe(COUNT),
    "oldest_seconds": maybe(NUMBER),
    "contents": many(ref("CacheKind"), "Those with the most bytes first."),
    "results": {"type": "object", "description": "Calls by what the cache did.", "additionalProperties": COUNT},
    "saved": thing(
        "What hits saved.",
        {
            "calls": COUNT,
            "tokens_in": COUNT,
            "tokens_out": COUNT,
            "usd": maybe(NUMBER),
            "unpriced_calls": COUNT,
        },
    ),
    "rules": many(ref("CacheRule")),
    "suggestions": many(ref("CacheSuggestion")),
}
_CACHE = thing(
    "What the cache holds, saved and could save. Only `enabled` when it is off.",
    {"enabled": SWITCH, **_CACHE_THAT_IS_ON},
    frozenset(_CACHE_THAT_IS_ON),
)

_CAUSE_IN_SHORT: dict[str, Schema] = {
    "slug": one_of(Cause),
    "fault": maybe(_FAULT),
    "again": one_of((again.name.lower() for again in Again), "What trying again can do."),
    "title": TEXT,
}
_CAUSE_IN_FULL: dict[str, Schema] = {
    **_CAUSE_IN_SHORT,
    "what_it_means": TEXT,
    "how_we_know": TEXT,
    "what_to_do": many(TEXT),
    "not_to_be_confused_with": TEXT,
    "source": told(TEXT, "Where this is documented."),
}

SCHEMAS: dict[str, Schema] = {
    "Error": _ERROR,
    "Flow": _FLOW,
    "Events": _EVENTS,
    "Attempt": _ATTEMPT,
    "Phase": _PHASE,
    "Diagnosis": _DIAGNOSIS,
    "Clue": _CLUE,
    "Gap": thing(
        "Events are missing: read the list again.",
        {"reason": one_of(("too_old", "dropped", "fast", "slow"))},
    ),
    "Limits": _LIMITS,
    "Scope": _SCOPE,
    "Limit": _LIMIT,
    "User": _USER,
    "Cache": _CACHE,
    "CacheKind": _CACHE_KIND,
    "CacheRule": _CACHE_RULE,
    "CacheSuggestion": _CACHE_SUGGESTION,
    "CauseInShort": thing("A cause.", _CAUSE_IN_SHORT),
    "Cause": thing("All that there is to say about a cause, without the facts of any call.", _CAUSE_IN_FULL),
}
LANGUAGE_PATTERN = rf"^((?:{'|'.join(LANGUAGES)})([-_][A-Za-z0-9]{{1,8}}){{0,3}})?$"
