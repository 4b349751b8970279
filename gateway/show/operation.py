"""One method of one path, as `gateway.show.openapi` describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.show.schemas import Schema

MAX_VALUE_CHARS = 200
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        answer: Schema of a 200's body.
        media_type: Of that body.
        refusals: Statuses besides those that every path can give; the meaning where it is special.
        language: Texts are given in the reader's language.
        is_open: It needs no token.
        others: Answers that are neither a 200 nor an `Error`, as OpenAPI writes them.
    """

    summary: str
    answer: Schema
    method: str = "get"
    media_type: str = JSON
    parameters: tuple[Schema, ...] = ()
    body: Schema | None = None
    refusals: Mapping[int, str] = field(default_factory=dict)
    language: bool = False
    is_open: bool = False
    others: Mapping[str, Any] = field(default_factory=dict)


def query(name: str, description: str, **schema: Any) -> Schema:
    """Give a parameter of the query; a text of bounded length unless told otherwise. Empty is as if it were absent."""
    shape = {"type": "string", "maxLength": MAX_VALUE_CHARS} | schema
    shape = {name: value for name, value in shape.items() if value is not None}
    return {"name": name, "in": "query", "description": description, "schema": shape}


def in_path(name: str, description: str, schema: Schema) -> Schema:
    """Give a part of the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
