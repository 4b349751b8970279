"""The slots in which a stream's events are counted."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.rhythm import SLOT_SECONDS, SLOTS, Rhythm


def test_events_are_counted_where_they_came_and_the_longest_silence_is_known() -> None:
    rhythm = Rhythm()
    for at, events in ((10.0, 2), (10.01, 1), (10.12, 3), (10.41, 1)):
        rhythm.beat(at, events)
    assert (rhythm.began_at, rhythm.count, rhythm.counts) == (10.0, 7, [3, 0, 3, 0, 0, 0, 0, 0, 1])
    assert (round(rhythm.gap_seconds, 6), rhythm.gap_at) == (0.29, 10.12)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.integers(0, 50)), min_size=1, max_size=200))
def test_however_long_it_lasts_all_are_counted_in_so_many_slots(beats: list[tuple[float, int]]) -> None:
    rhythm = Rhythm()
    times = list(accumulate((pause for pause, _ in beats), initial=5.0))[1:]
    for at, (_, events) in zip(times, beats, strict=True):
        rhythm.beat(at, events)
    assert sum(rhythm.counts) == rhythm.count == sum(events for _, events in beats)
    assert 1 <= len(rhythm.counts) <= SLOTS
    assert rhythm.began_at == times[0]
    assert rhythm.gap_seconds == max((later - earlier for earlier, later in pairwise(times)), default=0.0)
    assert (rhythm.slot_seconds / SLOT_SECONDS).is_integer()
    assert times[-1] - times[0] < SLOTS * rhythm.slot_seconds
