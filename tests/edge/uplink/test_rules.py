from __future__ import annotations

import pytest

from edge.uplink.pace import SMALLEST_WINDOW, Backoff, Pacer
from edge.uplink.rules import Cursor, disagreement

MINE, OTHER = b"m" * 16, b"o" * 16


def cursor(*stored: tuple[int, int], head: int = 0, digest: bytes = MINE) -> Cursor:
    return Cursor(stored=stored, head=head, digest=digest)


@pytest.mark.parametrize(
    ("cloud", "mine", "reason"),
    [
        (cursor(), {"head": 0, "stored_head": 0, "digest": None}, ""),
        (cursor(), {"head": 50, "stored_head": 0, "digest": None}, ""),
        (cursor((1, 40), head=40), {"head": 50, "stored_head": 0, "digest": MINE}, ""),
        (cursor((1, 40), head=40), {"head": 50, "stored_head": 40, "digest": MINE}, ""),
        (cursor((1, 40), head=40), {"head": 50, "stored_head": 30, "digest": MINE}, ""),
        # The highest of the cloud went to quarantine: its head may be lower than its ranges.
        (cursor((1, 40), head=35), {"head": 50, "stored_head": 40, "digest": None}, ""),
        (cursor((1, 60), head=60), {"head": 50, "stored_head": 40, "digest": None}, "this store ends at 50"),
        (cursor((1, 40), (60, 60), head=40), {"head": 50, "stored_head": 40, "digest": MINE}, "this store ends at 50"),
        (cursor((1, 30), head=30), {"head": 50, "stored_head": 40, "digest": None}, "the cloud has lost record 40"),
        (cursor(), {"head": 50, "stored_head": 40, "digest": None}, "the cloud has lost record 40"),
        (cursor((1, 40), head=40, digest=OTHER), {"head": 50, "stored_head": 0, "digest": MINE}, "40 is another one"),
        (cursor((1, 40), head=40), {"head": 50, "stored_head": 30, "digest": None}, "does not know"),
    ],
)
def test_a_new_epoch_begins_exactly_when_the_memories_differ(cloud: Cursor, mine: dict, reason: str) -> None:
    said = disagreement(cloud, **mine)
    assert (reason in said) if reason else not said


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_no_more_than_a_second_of_the_measured_rate_is_on_the_way() -> None:
    clock = Clock()
    pacer = Pacer(1_000_000, clock)
    assert pacer.room == SMALLEST_WINDOW
    for last in range(1, 9):  # 64 kB at once over a link of 8 kB/s: one answer a second
        pacer.sent(last, last, 8_000)
    assert not pacer.fits(1_000)
    for last in range(1, 9):
        clock.now += 1.0
        pacer.received([(last, last)])
    assert pacer.window == SMALLEST_WINDOW
    assert pacer.queue_s() == 0.0
    pacer.sent(9, 9, 120_000)
    assert pacer.queue_s() == pytest.approx(15.0)
    assert pacer.queue_s(beside=8_000) == pytest.approx(16.0)
    clock.now += 15.0
    pacer.received([(9, 9)])
    for last in range(10, 40):  # then the link is 100 times as fast
        pacer.sent(last, last, 8_000)
        clock.now += 0.01
        pacer.received([(last, last)])
    assert 700_000 < pacer.window <= 800_000


def test_a_small_parcel_that_leaves_just_before_a_large_ones_answer_makes_the_link_no_faster() -> None:
    clock = Clock()
    pacer = Pacer(1_000_000, clock)
    for last in range(1, 40, 2):  # a link of 8 kB/s: 7,600 bytes, and 400 more that leave 20 ms before their answer
        pacer.sent(last, last, 7_600)
        clock.now += 0.93
        pacer.sent(last + 1, last + 1, 400)
        clock.now += 0.02
        pacer.received([(last, last)])
        clock.now += 0.05
        pacer.received([(last + 1, last + 1)])
    assert pacer.window <= 8_100


def test_an_answer_that_comes_late_makes_the_link_no_faster() -> None:
    clock = Clock()
    pacer = Pacer(1_000_000, clock)
    pacer.sent(1, 1, 4_000)
    pacer.sent(2, 2, 4_000)
    for last in range(1, 40):  # a link of 8 kB/s; each fifth answer is 0.4 s late
        clock.now = 0.5 * last + 0.4 * (last % 5 == 1)
        pacer.received([(last, last)])
        pacer.sent(last + 2, last + 2, 4_000)
    assert pacer.window <= 9_000


def test_a_batch_in_parts_counts_part_by_part_and_waits_for_its_stored_from_the_last_one_on() -> None:
    clock = Clock()
    pacer = Pacer(1_000_000, clock)
    assert 4 * pacer.part == SMALLEST_WINDOW
    for _ in range(4):
        pacer.part_sent(7, 7, 2_000, whole=False)
    assert not pacer.fits(2_000)
    clock.now += 0.5
    assert pacer.silent_s == 0.5
    pacer.received([], 4_000)
    assert pacer.silent_s == 0.0
    assert pacer.room == 4_000
    pacer.part_sent(7, 7, 2_000, whole=True)
    assert len(pacer.unstored) == 1
    clock.now += 0.75
    pacer.received([], 10_000)
    assert pacer.unreceived_bytes == 0
    assert pacer.window == SMALLEST_WINDOW, "8 kB/s all the time"
    pacer.unstored.remove([(7, 7)])
    assert not pacer.unstored


def test_the_gateways_credit_is_not_exceeded_and_a_large_parcel_still_goes_alone() -> None:
    pacer = Pacer(10_000, Clock())
    assert pacer.fits(10_001)
    pacer.sent(1, 5, 9_000)
    assert not pacer.fits(2_000)
    pacer.received([(1, 5)])
    assert pacer.fits(50_000)


def test_an_answer_that_covers_many_parcels_frees_them_all() -> None:
    pacer = Pacer(1_000_000, Clock())
    for i in range(100):
        pacer.sent(10 * i + 1, 10 * i + 10, 100)
    pacer.received([(1, 500), (901, 1 << 40)])
    assert pacer.unreceived_bytes == 4_000
    assert pacer.unstored.bytes == 10_000


def test_waits_double_up_to_their_limit_and_are_drawn_below_it() -> None:
    drawn: list[float] = []
    backoff = Backoff(0.2, 5.0, uniform=lambda low, high: drawn.append(high) or low)
    for _ in range(7):
        assert backoff.next_s() == 0.0
    assert drawn == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.reset()
    backoff.next_s()
    assert drawn[-1] == 0.2
