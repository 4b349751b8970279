"""The queue: fair between tenants, in order within one, and nobody is forgotten in it."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limit.cost import Cost
from gateway.limit.fair_queue import FairQueue


@dataclass(eq=False)
class _Waiter:
    tenant: str
    weight: float = 1.0
    cost: Cost = field(default_factory=Cost)
    name: int = 0


def _names(queue: FairQueue[_Waiter]) -> list[int]:
    """Serve everybody."""
    return [queue.pop().name for _ in range(len(queue))]


def _filled(**tenants: int) -> FairQueue[_Waiter]:
    queue: FairQueue[_Waiter] = FairQueue()
    for tenant, count in tenants.items():
        for number in range(count):
            queue.push(_Waiter(tenant, name=number))
    return queue


def test_nobody_is_there_at_first() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    assert (len(queue), queue.peek(), list(queue), queue.cost) == (0, None, [], Cost(0))
    with pytest.raises(IndexError):
        queue.pop()
    assert not queue.remove(_Waiter("a"))
    assert queue.clear() == []


def test_one_tenant_is_served_in_the_order_of_arrival() -> None:
    queue = _filled(a=5)
    assert len(queue) == 5
    first = queue.peek()
    assert first is not None
    assert queue.pop() is first
    assert _names(queue) == [1, 2, 3, 4]


def test_who_was_sent_back_comes_before_its_tenants_others_and_before_nobody_elses() -> None:
    queue = _filled(a=2, b=2)
    back = _Waiter("b", name=9)
    queue.push(back, front=True)
    assert [(one.tenant, one.name) for one in (queue.pop() for _ in range(5))] == [
        ("a", 0), ("b", 9), ("a", 1), ("b", 0), ("b", 1),
    ]  # fmt: skip


def test_whoever_leaves_leaves_everybody_else_in_order() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    waiters = [_Waiter("a", name=number) for number in range(6)]
    for waiter in waiters:
        queue.push(waiter)
    assert [queue.remove(waiters[number]) for number in (0, 3, 5, 3)] == [True, True, True, False]
    assert _names(queue) == [1, 2, 4]
    assert not queue.remove(waiters[1]), "it was served"


def test_a_small_tenant_does_not_wait_for_a_large_ones_whole_line() -> None:
    queue = _filled(large=1_000)
    for _ in range(500):
        queue.pop()
    queue.push(_Waiter("small", name=-1))
    assert -1 in {queue.pop().name for _ in range(2)}


def test_nobody_saves_up_a_share_by_staying_away() -> None:
    queue = _filled(busy=300)
    for _ in range(200):
        queue.pop()
    for _ in range(100):
        queue.push(_Waiter("late"))
    served = [queue.pop().tenant for _ in range(100)]
    assert 49 <= served.count("late") <= 51


def test_nobody_gains_by_coming_one_at_a_time() -> None:
    """A tenant that sits down again only after it was served has had what it has had."""
    queue, served = _filled(patient=200), []
    queue.push(_Waiter("quick", weight=2.0))
    for _ in range(90):
        served.append(queue.pop())
        if served[-1].tenant == "quick":
            queue.push(_Waiter("quick", weight=2.0))
    quick = sum(one.weight for one in served if one.tenant == "quick")
    assert abs(quick - sum(one.weight for one in served if one.tenant == "patient")) <= 2.0


@settings(deadline=None)
@given(
    weights=st.lists(
        st.lists(st.sampled_from([0.01, 0.1, 0.5, 1.0, 3.0]), min_size=1, max_size=4), min_size=2, max_size=5
    ),
    counts=st.integers(10, 60),
)
def test_between_tenants_that_wait_no_share_differs_by_more_than_one_largest_call_each(
    weights: list[list[float]], counts: int
) -> None:
    """The bound of start-time fair queueing, for every stretch in which both of them wait."""
    queue: FairQueue[_Waiter] = FairQueue()
    for tenant, own in enumerate(weights):
        for number in range(counts):
            queue.push(_Waiter(str(tenant), weight=own[number % len(own)]))
    left = dict.fromkeys((str(tenant) for tenant in range(len(weights))), counts)
    had = [dict.fromkeys(left, 0.0)]
    while all(left.values()):
        one = queue.pop()
        left[one.tenant] -= 1
        had.append(had[-1] | {one.tenant: had[-1][one.tenant] + one.weight})
    largest = [max(own) for own in weights]
    for start in had[:: max(1, len(had) // 20)]:
        for end in had:
            shares = [end[str(tenant)] - start[str(tenant)] for tenant in range(len(weights))]
            for mine, share in enumerate(shares):
                for theirs in range(mine):
                    assert abs(share - shares[theirs]) <= largest[mine] + largest[theirs] + 1e-9


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), heavy=st.sampled_from([1.0, 5.0, 40.0]), tenants=st.integers(1, 6))
def test_a_heavy_waiter_is_served_within_twice_its_fair_wait(seed: int, heavy: float, tenants: int) -> None:
    """However many light calls keep coming, also of tenants that were never seen before."""
    rng, queue = random.Random(seed), FairQueue[_Waiter]()
    for tenant in range(tenants):
        queue.push(_Waiter(str(tenant)))
    for _ in range(rng.randrange(30)):
        queue.push(_Waiter(queue.pop().tenant, weight=rng.choice([0.1, 1.0])))
    before = heavy
    queue.push(_Waiter("heavy", weight=heavy, name=1))
    queue.push(_Waiter("heavy", weight=heavy, name=2))
    worked = 0.0
    names: list[int] = []
    while 2 not in names:
        served = queue.pop()
        worked += served.weight
        names.append(served.name)
        if served.tenant != "heavy":
            queue.push(_Waiter(served.tenant, weight=rng.choice([0.1, 1.0])))
        fair = (tenants + 1) * (before + heavy)
        assert worked <= 2 * fair + tenants


@settings(deadline=None)
@given(data=st.data())
def test_whoever_leaves_the_others_are_all_served_and_the_sums_are_right(data: st.DataObject) -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    waiting: list[_Waiter] = []
    served: dict[str, list[int]] = {}
    fronts: set[int] = set()
    steps = data.draw(st.lists(st.sampled_from(["push", "push", "front", "pop", "remove", "clear"]), max_size=60))
    for number, step in enumerate(steps):
        if step in {"push", "front"}:
            cost = Cost(1, data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9)))
            one = _Waiter(data.draw(st.sampled_from("abcd")), data.draw(st.sampled_from([0.1, 1.0, 7.0])), cost, number)
            queue.push(one, front=step == "front")
            if step == "front":
                fronts.add(number)
            waiting.append(one)
        elif step == "pop" and waiting:
            first = queue.peek()
            one = queue.pop()
            assert one is first
            waiting.remove(one)
            served.setdefault(one.tenant, []).append(one.name)
            assert one.name in fronts or not [
                other for other in waiting if other.tenant == one.tenant and other.name < one.name
            ], "it has overtaken one of its own tenant"
        elif step == "remove" and waiting:
            one = data.draw(st.sampled_from(waiting))
            assert queue.remove(one)
            assert not queue.remove(one)
            waiting.remove(one)
        elif step == "clear":
            assert set(queue.clear()) == set(waiting)
            waiting.clear()
        assert len(queue) == len(waiting) == len(list(queue))
        assert queue.cost == Cost(
            len(waiting), sum(one.cost.tokens_in for one in waiting), sum(one.cost.tokens_out for one in waiting)
        )
        assert (queue.peek() is None) == (not waiting)
    assert {queue.pop() for _ in range(len(queue))} == set(waiting)


def test_a_newcomer_is_told_its_own_line_and_as_much_of_each_others() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    for tenant, count, tokens in (("a", 3, 10), ("b", 10, 100), ("c", 1, 7)):
        for _ in range(count):
            queue.push(_Waiter(tenant, cost=Cost(1, tokens, 2 * tokens)))
    assert queue.ahead("new", Cost(1, 5, 5)) == Cost(3, 10 + 100 + 7, 20 + 200 + 14)
    assert queue.ahead("a", Cost()) == Cost(3 + 4 + 1, 30 + 400 + 7, 60 + 800 + 14)
    assert queue.ahead("a", Cost(), front=True) == Cost(2, 100 + 7, 200 + 14)
    assert queue.ahead("b", Cost()) == Cost(14, 30 + 1_000 + 7, 60 + 2_000 + 14)
    assert _filled(a=4).ahead("a", Cost()) == Cost(4)
    assert _filled().ahead("a", Cost()) == Cost(0)


@settings(deadline=None)
@given(counts=st.dictionaries(st.sampled_from("abcde"), st.integers(1, 12)), own=st.sampled_from("abcdef"))
def test_what_is_said_to_be_ahead_is_what_is_served_before(counts: dict[str, int], own: str) -> None:
    """Of equal calls, give or take one of each other tenant, who may be next already or have had its turn."""
    queue = _filled(**counts)
    said = queue.ahead(own, Cost())
    newcomer = _Waiter(own, name=-1)
    queue.push(newcomer)
    before = _names(queue).index(-1)
    assert abs(before - said.requests) <= len(counts)


def _grown(queue: FairQueue[_Waiter]) -> int:
    return len(queue._order) + len(queue._ended) + len(queue._lines)


@pytest.mark.parametrize("waits", [False, True], ids=["empty", "one waits"])
@pytest.mark.parametrize("names", [1, 3, 100_000], ids=["one tenant", "three tenants", "a new tenant each"])
def test_nothing_grows_with_those_who_came_and_left(names: int, waits: bool) -> None:
    queue = _filled(stays=int(waits))
    for number in range(100_000):
        one = _Waiter(str(number % names), weight=0.5)
        queue.push(one)
        queue.remove(one)
    assert _grown(queue) <= 300
    assert len(queue) == waits


@pytest.mark.parametrize("names", [1, 3], ids=["one tenant", "three tenants"])
def test_nothing_grows_with_those_who_were_served(names: int) -> None:
    queue = _filled(stays=2)
    for number in range(100_000):
        queue.push(_Waiter(str(number % names), weight=1e-3))
        served = queue.pop()
        if served.tenant == "stays":
            queue.push(_Waiter("stays"))
    assert _grown(queue) <= 300


def test_of_tenants_that_come_once_each_no_more_is_kept_than_of_those_who_wait() -> None:
    """The keys of a fleet: each asks once, while a line of one tenant waits."""
    queue = _filled(stays=20)
    for number in range(5_000):
        queue.push(_Waiter(str(number)))
        served = queue.pop()
        if served.tenant == "stays":
            queue.push(_Waiter("stays"))
    assert _grown(queue) <= 200 + 5 * len(queue._lines)


def test_who_is_next_stays_next_while_others_of_waiting_tenants_come_and_go() -> None:
    queue = _filled(a=3, b=3, c=3)
    for _ in range(4):
        queue.pop()
    first = queue.peek()
    rng = random.Random(5)
    for number in range(3_000):
        one = _Waiter(rng.choice("abc"), name=number)
        queue.push(one)
        assert queue.peek() is first
        queue.remove(one)
        assert queue.peek() is first


def test_who_is_next_stays_next_while_tenants_come_and_leave_again() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    for tenant, weights in (("a", [1.0, 1.0, 1.0]), ("b", [2.0, 1.0])):
        for weight in weights:
            queue.push(_Waiter(tenant, weight=weight))
    served = [queue.pop().tenant for _ in range(3)]  # both have had 2, and b was there first
    assert served == ["a", "b", "a"]
    first = queue.peek()
    assert first is not None
    assert first.tenant == "b"
    for number in range(300):
        one = _Waiter(f"visitor {number}")
        queue.push(one)
        queue.remove(one)
    assert queue.peek() is first


def test_who_was_sent_back_comes_first_and_in_order_among_themselves() -> None:
    queue = _filled(a=2)
    back = [_Waiter("a", name=name) for name in (7, 8, 9)]
    for one in back:
        queue.push(one, front=True)
    assert [queue.pop() for _ in range(3)] == back


def test_in_turn_gives_some_of_every_tenant_and_moves_nothing() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    many = [_Waiter("a", name=name) for name in range(10)]
    few = [_Waiter("b", name=name) for name in range(2)]
    for one in (*many, *few):
        queue.push(one)
    queue.pop()  # b is next
    assert queue.in_turn(5) == [few[0], many[1], few[1], many[2], many[3]]
    assert queue.in_turn(1) == [few[0]]
    assert queue.in_turn(100) == [few[0], many[1], few[1], *many[2:]]
    assert len(queue) == 11
    assert queue.peek() is few[0]


def test_who_is_taken_by_others_word_is_charged_and_who_is_not_there_is_not_taken() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    a, b = ([_Waiter(tenant, name=name) for name in range(3)] for tenant in "ab")
    for one in (*a, *b):
        queue.push(one)
    assert queue.take(a[1])
    assert not queue.take(a[1])
    assert queue.take(a[0])
    assert [queue.pop() for _ in range(4)] == [b[0], b[1], a[2], b[2]]
    assert not queue.take(b[2])
    assert len(queue) == 0


def test_a_tenant_that_comes_back_after_much_asking_in_vain_waits_no_longer_than_its_share_says() -> None:
    queue: FairQueue[_Waiter] = FairQueue()
    for name in range(100):
        queue.push(_Waiter("a", name=name))
    only = _Waiter("b", name=0)
    queue.push(only)
    assert queue.take(only)
    for _ in range(1_000):
        queue.in_turn(64)
    queue.push(back := _Waiter("b", name=1))
    assert back in [queue.pop() for _ in range(3)]
