"""What all stores have in common: how entries are counted, and which ones are meant."""

from fnmatch import fnmatchcase

from gateway.cache.backend import ENTRY_BYTES, Wanted
from gateway.model.decision import StoredReply


def size_bytes(reply: StoredReply) -> int:
    """Give what an answer counts against the cap."""
    return len(reply.body) + sum(len(name) + len(value) for name, value in reply.headers) + ENTRY_BYTES


def is_meant(model: str, glob: str) -> bool:
    """Say whether a model is the one named, or one of those that a glob means. Every model where ``glob`` is empty."""
    # A model's own name may hold brackets.
    return not glob or model == glob or fnmatchcase(model, glob)


def is_wanted(reply: StoredReply, wanted: Wanted) -> bool:
    """Say whether an entry is meant, as `Wanted` says."""
    return (
        (not wanted.key or reply.label.key == wanted.key)
        and (wanted.before is None or reply.stored_at < wanted.before)
        and is_meant(reply.label.model, wanted.model)
    )
