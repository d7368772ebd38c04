"""What stands beside a machine's loop and sees what it sees: flight recorder, announcer, page, snapshots.

The loop knows one witness and nothing of these. A witness never holds the loop up and never makes it fail.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge.types import Alarm, Assessment, Window


@dataclass(frozen=True, slots=True)
class Heard:
    """One window and what became of it."""

    window: Window
    assessment: Assessment | None
    deviation: float
    alarms: list[Alarm]
    limit: float = math.inf  # of the deviation, from which on the machine is raised


class Witness(Protocol):
    """Sees one machine's windows, in the sampling thread."""

    def take(self, heard: Heard) -> bool:
        """See one window; True when its raw samples are due to be sent."""
        ...

    def state(self) -> dict[str, bytes]:
        """What must outlive a restart, kept in one transaction with the windows seen."""
        ...

    def restore(self, state: Callable[[str], bytes | None]) -> None:
        """Continue from what was kept, by name; begin anew where it is not understood."""
        ...


class Nobody:
    """Sees nothing."""

    def take(self, heard: Heard) -> bool:
        """Nothing is due."""
        return False

    def state(self) -> dict[str, bytes]:
        """Nothing is kept."""
        return {}

    def restore(self, state: Callable[[str], bytes | None]) -> None:
        """Nothing is restored."""
