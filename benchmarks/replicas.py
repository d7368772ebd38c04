"""What one gateway more adds: two gateways on one catalogue and one store, beside one, by the CPU time of a row.

On two cores two gateways cannot show twice the rate: senders and servers share them. So each gateway gets the same
paced load, alone and with the other beside it. What a second one adds is what its CPU time buys, less what sharing the
catalogue costs both: with a core of its own each, two take 2 x alone / both times what one takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import cpu_s, gateway, send_all

ASKED = 0.8  # of the first's throughput
FRAMES = 16
STREAMS = 8  # at each gateway
ROWS_PER_S = 2000.0  # of each stream
SECONDS = 5.0
TURNS = 2


def measure(seconds: float = SECONDS, turns: int = TURNS) -> dict[str, Any]:
    """Send the same load to one gateway and to two, in turn."""
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        catalogue, database = stack.enter_context(_catalogue())
        store = folders[0] / "store"
        store.mkdir()
        (folders[1] / "store").symlink_to(store)
        url = database or f"sqlite:///{folders[0] / 'catalogue.sqlite'}"
        for folder in folders:
            (folder / "cloud.toml").write_text(f'database = "{url}"\n')
        found = [stack.enter_context(gateway(folder)) for folder in folders]
        one, two = _turns([a for a, _ in found], [p for _, p in found], seconds, turns)
    alone, both = (statistics.median(runs) for runs in (one, two))
    return {
        "catalogue": catalogue,
        "frames": FRAMES,
        "cpu_us_alone": round(alone, 2),
        "cpu_us_both": round(both, 2),
        "added": round(2 * alone / both - 1, 2),
        "asked": ASKED,
        "offered_rows_per_s_each": round(STREAMS * ROWS_PER_S),
    }


def _turns(
    addresses: Sequence[str], processes: Sequence[psutil.Process], seconds: float, turns: int
) -> tuple[list[float], list[float]]:
    for address in addresses:
        asyncio.run(send_all(address, ["warm"], FRAMES, 0.2))
    one, two = [], []
    for turn in range(turns):
        one.append(_run(addresses[:1], processes[:1], f"one-{turn}", seconds))
        two.append(_run(addresses, processes, f"two-{turn}", seconds))
    return one, two


def _run(addresses: Sequence[str], processes: Sequence[psutil.Process], prefix: str, seconds: float) -> float:
    """CPU time of a row, us, summed over the gateways."""

    async def all_senders() -> int:
        names = [f"{prefix}-{n}" for n in range(STREAMS)]
        sends = [
            send_all(a, [f"{name}-{at}" for name in names], FRAMES, seconds, ROWS_PER_S)
            for at, a in enumerate(addresses)
        ]
        return sum(await asyncio.gather(*sends))

    used = cpu_s(processes)
    sent = asyncio.run(all_senders())
    return (cpu_s(processes) - used) / sent * 1e6


@contextlib.contextmanager
def _catalogue() -> Iterator[tuple[str, str]]:
    """A PostgreSQL server's name and an empty database's URL; SQLite and nothing where there is no server."""
    from tests.servers.postgres import Postgres, find_programs  # noqa: PLC0415 - it needs pg8000 and the checkout

    programs = find_programs()
    if programs is None:
        yield "SQLite", ""
        return
    server = Postgres(programs)
    try:
        yield "PostgreSQL", server.create_database()
    finally:
        server.close()
