"""Clocks that jump and a flood of duplicates, through a real gateway into a real lake."""

from __future__ import annotations

import time

import numpy as np
from sqlalchemy import select

from cloud.catalogue.tables import quarantine
from cloud.wiring import Cloud
from tests.cloud.conftest import opened  # noqa: F401 - the fixture of an empty cloud
from tests.cloud.gateway.device import Device
from tests.cloud.running import assert_exactly, in_lake, play, running

YEAR_NS = 365 * 86_400 * 10**9


def test_a_clock_that_jumps_changes_no_order_and_drops_nothing(opened: Cloud):  # noqa: F811
    """Row 9. A live record from the future is kept in quarantine with its reason and blocks nothing."""
    now_ns = time.time_ns()
    times = [now_ns, now_ns - YEAR_NS, 0, now_ns + YEAR_NS, now_ns + 10**9]

    async def story() -> None:
        sender = Device()
        for time_ns in times:
            sender.make(2, event_time=np.full(2, time_ns, "<i8").tobytes())
        async with running(opened) as gateway:
            await sender.deliver(gateway.address)
            assert list(sender.stored) == [(1, 10)]
            assert sorted(sender.rejected) == [7, 8]

    play(story())
    assert_exactly(opened, "edge-1", 7, (1, 2, 3, 4, 5, 6, 9, 10))
    at = {r["sequence"]: r["event_time_ns"] for r in opened.lake.rows("features").to_pylist()}
    assert [at[n] for n in (1, 3, 5, 9)] == [times[0], times[1], times[2], times[4]]
    with opened.engine.connect() as connection:
        assert [r.sequence for r in connection.execute(select(quarantine).order_by(quarantine.c.sequence))] == [7, 8]


def test_a_million_duplicates_change_no_byte_of_what_is_stored(opened: Cloud):  # noqa: F811
    """Row 14."""

    async def story() -> None:
        sender = Device()
        first = sender.make(10_000)
        async with running(opened) as gateway:
            await sender.deliver(gateway.address)
            before = {key: opened.store.get(key) for key in opened.store.list("lake/")}
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                for _ in range(100):
                    await connection.send(first)
                await connection.finish()
            assert gateway.gateway.budget.used == 0
            assert {key: opened.store.get(key) for key in opened.store.list("lake/")} == before

    play(story())
    assert set(in_lake(opened).values()) == {1}
