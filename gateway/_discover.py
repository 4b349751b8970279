"""Finds plug-ins: every module of a package that exports one constant of one type, in the order of file names.

A module whose name begins with an underscore is what plug-ins of the package share, and none itself.
"""

import importlib
import pkgutil


def discover[T](package: str, constant: str, kind: type[T]) -> dict[str, T]:
    """Give module name -> the constant. TypeError when a file of the package exports no such thing."""
    found: dict[str, T] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name.startswith("_"):
            continue
        value = getattr(importlib.import_module(f"{package}.{module.name}"), constant, None)
        if not isinstance(value, kind):
            message = f"{package}.{module.name} exports no {constant} of type {kind.__name__}"
            raise TypeError(message)
        found[module.name] = value
    return found
