"""Any other route, for a call that asks by header for a failure.

Lets a test break a route that no face has, such as an upload, and see what its client makes of it.
"""

from gateway.simulate.face import Asked, Face, Json
from gateway.simulate.provider import Provider


def _plain(asked: Asked) -> Json:
    return {"id": f"simulated{asked.number:08d}", "object": "simulated"}


def anything(provider: Provider, method: str, path: str) -> Face:
    """Return a face for exactly this method and path."""
    return Face(provider=provider, method=method, path=path, plain=_plain, generates=False)
