"""The route of what is for no provider."""

from gateway.identify.nowhere import nowhere
from gateway.model.cause import Cause
from gateway.model.provider import Declared
from tests.gateway.factories import a_call


def test_it_leads_nowhere_and_says_where_it_was_meant_to_go() -> None:
    call = a_call(target=b"/elsewhere?x=1")
    route = nowhere(call)
    assert (route.upstream, route.target) == (call.origin, call.target)
    assert not route.pure
    assert route.provider.name == route.endpoint.name == route.model == ""


def test_an_error_on_it_can_still_be_written_and_read() -> None:
    provider = nowhere(a_call()).provider
    declared = provider.read_error(provider.write_error(404, "request.invalid_url", "no such place"))
    assert declared is not None
    assert declared.message == "no such place"
    assert provider.refine(404, Cause.UNKNOWN, Declared("", "", "", "")) is Cause.UNKNOWN
    assert not provider.declared
    assert not provider.by_status
