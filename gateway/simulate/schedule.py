"""Which call fails: those that ask for it, and every n-th if the configuration says so."""

from collections import OrderedDict

from gateway.simulate.admission import Call
from gateway.simulate.config import SimulatorConfig
from gateway.simulate.failure import Behaviour, Failure, UnknownFailureError, asked_failure
from gateway.simulate.provider import Provider

_MAX_REMEMBERED_ASKS = 100_000


class Schedule:
    """Remembers how often each failure was served, and how many calls could have been answered."""

    def __init__(self, config: SimulatorConfig) -> None:
        """Check the configuration.

        Raises:
            UnknownFailureError: ``fail_cause`` is not a failure of any provider.
        """
        self._config = config
        self._failing = {provider for provider in Provider if _shows(config.fail_cause, provider)}
        if not self._failing:
            asked_failure(config.fail_cause, Provider.OPENAI)
        self._times_failed: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._answerable = 0

    def clear(self) -> None:
        """Forget what was served."""
        self._times_failed.clear()
        self._answerable = 0

    def asked(self, call: Call) -> Failure | None:
        """Return the failure that this call asked for, unless it was served often enough.

        An upgrade and the requests in its WebSocket share their headers, so each takes what can befall it.

        Raises:
            UnknownFailureError: There is no such failure, or it makes no sense.
        """
        request = call.asked_for
        if request is None:
            return None
        failure = asked_failure(request, call.provider)
        if call.is_upgrade and failure.breaks_content:
            return None
        if request == call.upgrade_asked_for and not failure.breaks_content:
            return None
        return self._unless_spent(call, request, failure)

    def due(self, call: Call) -> Failure | None:
        """Count a call that could be answered, and return the failure that it meets by schedule."""
        self._answerable += 1
        every = self._config.fail_every
        if not every or self._answerable % every or call.provider not in self._failing:
            return None
        request = self._config.fail_cause
        return self._unless_spent(call, request, asked_failure(request, call.provider))

    def _unless_spent(self, call: Call, request: str, failure: Failure) -> Failure | None:
        """Return a failure, unless this call has met it as often as its ``times`` allows."""
        times = failure.times
        if times is None and failure.behaviour is Behaviour.REFUSE_TIMES:
            times = 1
        if times is None:
            return failure
        key = (call.key_hash, request, call.line.body_sha256)
        failed = self._times_failed.get(key, 0)
        if failed >= times:
            return None
        self._times_failed[key] = failed + 1
        self._times_failed.move_to_end(key)
        if len(self._times_failed) > _MAX_REMEMBERED_ASKS:
            self._times_failed.popitem(last=False)
        return failure


def _shows(request: str, provider: Provider) -> bool:
    try:
        asked_failure(request, provider)
    except UnknownFailureError:
        return False
    return True
