"""Which meter counts on for another: two keys have turned out to be of one account, or a limit was set anew."""

from collections import OrderedDict
from collections.abc import Iterable

from gateway.limit.cost import Meter
from gateway.limit.waiter import Taken

KEPT_MAX = 10_000


class Heirs:
    """What permits ask that were given before such a move.

    Attributes:
        moves: How many moves there were. A permit that has seen them all need not ask.
    """

    def __init__(self) -> None:
        self.moves = 0
        self._heirs: OrderedDict[Meter, Meter] = OrderedDict()

    def pass_on(self, pairs: Iterable[tuple[Meter, Meter]], *, anybody_holds: bool) -> None:
        """Note that the second of each pair has taken over what the first one counted.

        Args:
            anybody_holds: Whether permits are out. When none is, nobody will ask for what went before.
        """
        if not anybody_holds:
            self._heirs.clear()
        self.moves += 1
        self._heirs.update(pairs)
        while len(self._heirs) > KEPT_MAX:
            self._heirs.popitem(last=False)

    def now(self, taken: Iterable[Taken]) -> list[Taken]:
        """Give what a permit holds, at the meters that count it now."""
        return [one._replace(meter=self._last(one.meter)) for one in taken]

    def _last(self, meter: Meter) -> Meter:
        while (heir := self._heirs.get(meter)) is not None:
            meter = heir
        return meter
