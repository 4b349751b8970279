"""Prints ``config/gateway.toml``: every key with its default, its unit and the reason for it."""

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Any, get_args

from pydantic.fields import FieldInfo

from gateway.settings.section import Section
from gateway.settings.tree import MIB, Settings

_WIDTH = 110
_HEAD = """\
# whygate: every setting, with its default, its unit and the reason for it.
# Printed from the settings in the source; change it there, then run: whygate config default > config/gateway.toml
#
# whygate start --config FILE        uses a file; leave out what you do not change
# WHYGATE_LISTEN__ADDRESS=...        an environment variable for each key: WHYGATE_SECTION__KEY; wins over the file
# whygate config check               names every mistake; unknown keys are refused
#
# "# " is an explanation; "#key" stands for a key that has no default.
"""


def render_default_toml() -> str:
    """Give a file that, used as it is, changes nothing."""
    lines = [_HEAD.rstrip("\n")]
    for name, field in Settings.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, Section):
            lines += ["", f"# {table.__doc__}", f"[{name}]", *_keys(table, name)]
        else:
            lines += ["", *_array(name, field)]
    return "\n".join(lines) + "\n"


def _keys(table: type[Section], path: str) -> Iterator[str]:
    arrays = []
    for name, field in table.model_fields.items():
        if _row_of(field):
            # Tables come last: in TOML every key after one belongs to it.
            arrays.append((f"{path}.{name}", field))
            continue
        yield from _comment(field)
        yield _assignment(name, field)
    for name, field in arrays:
        yield ""
        yield from _array(name, field)


def _array(path: str, field: FieldInfo) -> Iterator[str]:
    """Give a list of tables, commented out, since an empty list of them is the default."""
    row = _row_of(field)
    if row is None:
        return
    yield f"# {row.__doc__}"
    yield f"#[[{path}]]"
    for name, inner in row.model_fields.items():
        yield from _comment(inner)
        yield "#" + _assignment(name, inner).removeprefix("#")


def _row_of(field: FieldInfo) -> type[Section] | None:
    rows = [kind for kind in get_args(field.annotation) if isinstance(kind, type) and issubclass(kind, Section)]
    return rows[0] if rows and get_args(field.annotation)[-1] is Ellipsis else None


def _comment(field: FieldInfo) -> Iterator[str]:
    for line in wrap(f"{field.description} Unit: {_extra(field, 'unit')}.", _WIDTH):
        yield f"# {line}"


def _assignment(name: str, field: FieldInfo) -> str:
    example = _extra(field, "example")
    return f"#{name} = {example}" if example else f"{name} = {_toml(field.default)}"


def _extra(field: FieldInfo, what: str) -> str:
    return str(field.json_schema_extra.get(what, "")) if isinstance(field.json_schema_extra, dict) else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        note = f"  # {value // MIB} MiB" if value >= MIB and value % MIB == 0 else ""
        return f"{value:_}{note}"
    if isinstance(value, tuple) and not value:
        return "[]"
    return json.dumps(str(value))
