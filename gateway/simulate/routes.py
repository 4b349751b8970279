"""The route table: every face of ``gateway.simulate.faces``, by provider and path."""

from collections.abc import Mapping
from functools import cache

from gateway._discover import discover
from gateway.simulate.face import Face
from gateway.simulate.provider import Provider


@cache
def all_faces() -> tuple[Face, ...]:
    """Return every route of every provider."""
    found = discover("gateway.simulate.faces", "FACES", tuple)
    return tuple(face for faces in found.values() for face in faces)


def faces_at(provider: Provider, path: str) -> list[tuple[Face, Mapping[str, str]]]:
    """Return the faces of a path, one for each method, with what the path names."""
    found: list[tuple[Face, Mapping[str, str]]] = [(face, {}) for face in _exact().get((provider, path), ())]
    if found:
        return found
    for face in _with_gaps()[provider]:
        match = face.pattern.fullmatch(path) if face.pattern else None
        if match:
            found.append((face, match.groupdict()))
    return found


@cache
def _exact() -> Mapping[tuple[Provider, str], list[Face]]:
    table: dict[tuple[Provider, str], list[Face]] = {}
    for face in all_faces():
        if face.pattern is None:
            table.setdefault((face.provider, face.path), []).append(face)
    return table


@cache
def _with_gaps() -> Mapping[Provider, tuple[Face, ...]]:
    return {
        provider: tuple(face for face in all_faces() if face.pattern and face.provider is provider)
        for provider in Provider
    }
