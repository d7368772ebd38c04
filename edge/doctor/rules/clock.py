"""The clock: what is wrong with it reorders windows or dates them falsely."""

from __future__ import annotations

import time
from collections.abc import Iterator

from edge.clock import EARLIEST_S
from edge.doctor.types import Facts, Finding, Level

LARGEST_STEP_S = 0.5
_F, _H = Level.FAULT, Level.HINT


def clock_before_release(facts: Facts) -> Iterator[Finding]:
    """A clock without battery starts in 1970."""
    if facts.host.clock_s < EARLIEST_S:
        now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(facts.host.clock_s))
        yield Finding(
            "clock-before-release",
            _F,
            f"it is {now}, before this software was made",
            "clock",
            "set it, or fit a battery",
        )


def clock_jumps(facts: Facts) -> Iterator[Finding]:
    """Steps reorder windows."""
    if abs(facts.host.clock_step_s) > LARGEST_STEP_S:
        yield Finding(
            "clock-jumps",
            _F,
            f"the clock moved by {facts.host.clock_step_s:+.1f} s while it was watched",
            "clock",
            "let one service alone set it, slewing rather than stepping (chrony: makestep 1 3)",
        )


def clock_in_doubt(facts: Facts) -> Iterator[Finding]:
    """The agent flags the times of what it hears until the clock is right again, or a time service vouches for it."""
    sure = facts.store.sure if facts.store else None
    behind_s = sure.at_s - facts.host.clock_s if sure else 0.0
    if sure and (sure.doubted or behind_s > 0):
        last = time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(sure.at_s))
        how = f"is behind {last}, when this device was last sure of it" if behind_s > 0 else f"has jumped since {last}"
        yield Finding(
            "clock-in-doubt",
            _F,
            f"the clock {how}: what was measured since is flagged",
            "clock",
            "set it; with a time service (chrony) the device believes it within a minute, without one within a day",
        )


def clock_not_synchronised(facts: Facts) -> Iterator[Finding]:
    """Drifting apart from the plant's clock makes event times useless beside other systems'."""
    if facts.host.synchronised is False:
        yield Finding(
            "clock-not-synchronised",
            _F,
            "no time service keeps the clock",
            "clock",
            "enable chrony or timedatectl set-ntp",
        )


def time_zone(facts: Facts) -> Iterator[Finding]:
    """Times are UTC everywhere; local logs beside them mislead."""
    if facts.host.utc_offset_s:
        yield Finding(
            "time-zone",
            _H,
            f"local time is {facts.host.utc_offset_s / 3600:+g} h from UTC, in which all records and logs are",
            "time zone",
            "timedatectl set-timezone UTC",
        )
