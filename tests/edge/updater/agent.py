"""An agent that does nothing but follow one assignment, to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge.updater import Assigned
from forewarn.logs import configure_logging
from tests.edge.updater.device import Device, Link


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def follow(slots: str, root: str, files: str, bundle: str) -> None:
    device = Device(Path(slots), Path(root).read_bytes(), Link(Path(files)))
    device.updater.load_current()
    say(f"loaded {device.runs}")
    async with device:
        device.link.orders.put_nowait(Assigned("bearing", bundle))
        await device.reported(bundle, running=True)
        say(f"running {device.runs}")


def run(slots: str, root: str, files: str, bundle: str) -> None:
    """Follow it to its end."""
    configure_logging("warning")
    asyncio.run(follow(slots, root, files, bundle))
