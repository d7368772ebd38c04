"""A device's clock that jumps: its times are flagged until it can be believed, and never hold anything up."""

from __future__ import annotations

import pytest

from edge.clock import EARLIEST_S, Sure
from edge.types import Quality, Window
from tests.edge.clocks import NOW_S, Clocks

YEAR_S = 365 * 86_400


def doubted(window: Window) -> bool:
    return bool(window.quality & Quality.SUSPECT_CLOCK)


@pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S, -NOW_S])
def test_a_clock_that_jumps_is_in_doubt_until_it_is_back(jump_s: float) -> None:
    clocks = Clocks()
    device = clocks.device()
    for _ in range(3):
        clocks.go(10)
        assert not doubted(clocks.heard(device))
    clocks.wall_s += jump_s
    for _ in range(100):
        clocks.go(600)
        window = clocks.heard(device)
        assert doubted(window)
        assert window.time_ns == int(clocks.wall_s * 1e9)  # flagged, not changed
        assert device.best_s(window) == pytest.approx(clocks.wall_s - jump_s)  # a machine's age goes on evenly
    clocks.wall_s -= jump_s
    assert not doubted(clocks.heard(device))


def test_a_device_that_wakes_in_1970_counts_on_from_when_it_was_last_sure() -> None:
    before = Clocks()
    kept = before.device().state()["clock"]
    clocks = Clocks(wall_s=5.0)
    device = clocks.device(kept)
    clocks.go(60)
    window = clocks.heard(device)
    assert doubted(window)
    assert device.best_s(window) == pytest.approx(NOW_S + 60, abs=61)
    clocks.wall_s = NOW_S + 7 * 86_400  # set by hand, a week later
    assert not doubted(clocks.heard(device))
    assert not device.suspect


def test_a_clock_ahead_of_its_line_stays_in_doubt_over_a_restart_and_one_that_was_off_for_a_year_is_believed() -> None:
    clocks = Clocks()
    device = clocks.device()
    clocks.wall_s += YEAR_S
    assert device.suspect
    assert clocks.device(device.state()["clock"]).suspect
    assert not clocks.device(Clocks().device().state()["clock"]).suspect


def test_what_a_time_service_vouches_for_is_believed_and_it_is_not_asked_at_each_window() -> None:
    clocks = Clocks()
    device = clocks.device()
    clocks.wall_s += YEAR_S
    for _ in range(100):
        clocks.go(1)
        assert doubted(clocks.heard(device))
    assert 3 <= clocks.asked <= 5
    clocks.vouched = True
    clocks.go(30)
    assert not doubted(clocks.heard(device))
    assert not device.suspect  # the new line is its line


def test_a_clock_that_runs_evenly_for_a_day_is_believed_without_a_time_service_and_1970_never() -> None:
    for wall_s, believed in ((NOW_S + YEAR_S, True), (0.0, False)):
        clocks = Clocks()
        device = clocks.device()
        clocks.wall_s = wall_s
        for _ in range(24):
            assert device.suspect
            clocks.go(3600)
        assert device.suspect is not believed


def test_small_corrections_are_no_jump_however_many() -> None:
    clocks = Clocks()
    device = clocks.device()
    for _ in range(1000):
        clocks.go(10)
        clocks.wall_s += 30
        assert not device.suspect


@pytest.mark.parametrize("at_s", [NOW_S + 601, EARLIEST_S - 1, 5.0])
def test_a_measurement_whose_own_time_cannot_be_true_is_flagged_alone(at_s: float) -> None:
    clocks = Clocks()
    device = clocks.device()
    window = device.check(Window(machine="m", time_ns=int(at_s * 1e9), samples={}))
    assert doubted(window)
    assert device.best_s(window) == pytest.approx(NOW_S)
    assert not device.suspect
    assert not doubted(device.check(Window(machine="m", time_ns=int((NOW_S - 9 * 86_400) * 1e9), samples={})))  # late


@pytest.mark.parametrize("kept", [None, b"", b"rubbish", b"-5", b"12 doubted 7"])
def test_what_was_not_kept_by_a_device_is_not_believed(kept: bytes | None) -> None:
    assert Sure.read(kept).at_s == EARLIEST_S
