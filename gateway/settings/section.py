"""What every table of settings is."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def setting(default: Any, description: str, *, unit: str, example: str = "", **limits: Any) -> Any:
    """Declare one key.

    Args:
        default: ``...`` for a key that must be given.
        description: What it does, and why the default is what it is.
        unit: In words; for a text, what stands in it.
        example: A value as it stands in TOML, for a key that has no default.
        limits: Bounds, in pydantic's words.
    """
    return Field(default, description=description, json_schema_extra={"unit": unit, "example": example}, **limits)


class Section(BaseModel):
    """A table of the file. Frozen; a key that is not declared is an error; ``"8"`` is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
