"""What the demo asks the catalogue while it waits: what is stored, who runs which model, which alarms were raised."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from cloud.catalogue.access import reading
from cloud.catalogue.tables import alert, cursor, device, machine
from cloud.ranges import Ranges
from models.errors import ForewarnError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def wait_until(
    what: str, done: Callable[[], bool], *, deadline_s: float, alive: Callable[[], None], every_s: float = 0.1
) -> float:
    """Poll until `done`, checking that the processes are `alive`; return the seconds it took."""
    begin = time.monotonic()
    while not done():
        alive()
        if time.monotonic() - begin > deadline_s:
            raise ForewarnError(f"waited {deadline_s:.0f} s in vain for: {what}")
        time.sleep(every_s)
    return time.monotonic() - begin


class Fleet:
    """Read-only questions to the catalogue."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stored(self, devices: Collection[str]) -> int:
        """How many records of these devices are committed."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(cursor.c.device, cursor.c.ranges)).all()
        return sum(len(Ranges.decode(r.ranges)) for r in rows if r.device in devices)

    def machines(self) -> set[str]:
        """Which machines have said Hello."""
        with reading(self._engine) as connection:
            return set(connection.scalars(select(machine.c.machine)))

    def running(self, bundle: str) -> set[str]:
        """Which devices say that they run `bundle`."""
        query = select(device.c.device).where(device.c.running_bundle == bundle, device.c.bundle_state == "running")
        with reading(self._engine) as connection:
            return set(connection.scalars(query))

    def refusals(self) -> dict[str, str]:
        """Which devices refused their bundle, and why."""
        query = select(device.c.device, device.c.bundle_reason).where(device.c.bundle_state == "refused")
        with reading(self._engine) as connection:
            return {r.device: r.bundle_reason for r in connection.execute(query)}

    def alerts(self) -> list[dict[str, Any]]:
        """All alerts, oldest first, with what judged and which fault they name."""
        with reading(self._engine) as connection:
            rows = [dict(r) for r in connection.execute(select(alert).order_by(alert.c.id)).mappings()]
        return [{**json.loads(r["content"]), **r} for r in rows]
