"""The route of a request that is for no provider, so that it has a row and a readable answer all the same.

A plain ``http://`` request of some other host is carried there; under a base URL there is nowhere to carry it to.
"""

from gateway.model.call import Call
from gateway.model.provider import Endpoint, Provider, below
from gateway.model.route import Route
from gateway.providers import openai

_NO_PROVIDER = Provider(
    name="",
    hosts=(),
    base_url_variables=(),
    base_path="",
    name_target=below(""),
    key_headers=(),
    scope_headers=(),
    version_headers=(),
    endpoints={},
    declared={},
    by_status={},
    read_error=openai.read_error,
    refine=lambda _status, cause, _declared: cause,
    read_usage=openai.read_usage,
    write_error=openai.write_error,
)
_NO_ENDPOINT = Endpoint(name="")


def nowhere(call: Call) -> Route:
    """Give the route to the host that was asked for, with no provider's knowledge."""
    return Route(
        provider=_NO_PROVIDER,
        endpoint=_NO_ENDPOINT,
        upstream=call.origin,
        target=call.target,
        pure=False,
        tenant=call.tenant,
        key="none",
        scope="none",
        model="",
        model_group="",
        stream=False,
        input_tokens=0,
        output_tokens=0,
        retry_count=0,
        timeout_seconds=60.0,
        document=None,
    )
