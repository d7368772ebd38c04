"""Every public benchmark of machines that took no part in training, and the one table of them.

Each protocol trains and listens through `forewarn evaluate`'s own code, once for each fold and seed, as many at once as
there are cores, and keeps the lines; a run that was cut short goes on where it stopped, and lines of other code or of
other files are never taken. The rigs' folds are `benchmarks/rigs.py`'s. `python -m benchmarks --only science` for all;
`SCIENCE=skab,ims` for some, which leaves the other rows as they were; `SCIENCE_SEEDS=7` for fewer seeds.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks import RESULTS
from benchmarks.diagnosis import folder
from benchmarks.readme import put
from benchmarks.science.protocols import PROTOCOLS
from benchmarks.science.runs import SEEDS, Work
from benchmarks.science.table import cells, table


def measure() -> dict[str, Any]:
    """All figures by protocol: what is not asked for stays as it was measured before."""
    asked = [name for name in os.environ.get("SCIENCE", "").split(",") if name] or list(PROTOCOLS)
    if unknown := [name for name in asked if name not in PROTOCOLS]:
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(PROTOCOLS)}")
    kept = RESULTS / "science.json"
    found: dict[str, Any] = json.loads(kept.read_text())["protocols"] if kept.exists() else {}
    seeds = tuple(int(seed) for seed in os.environ.get("SCIENCE_SEEDS", "").split(",") if seed) or SEEDS
    work = Work(Path(os.environ.get("SCIENCE_WORK", "build/science")), lambda text: print(text, flush=True), seeds)
    for number, name in enumerate(asked, 1):
        protocol = PROTOCOLS[name]
        if not (folder() / protocol.data).is_dir():
            print(f"{name}: skipped, no recordings in {folder() / protocol.data}; they are at {protocol.source}")
            continue
        print(f"[{number}/{len(asked)}] {name}", flush=True)
        found[name] = protocol.run(folder() / protocol.data, work)
    return {"protocols": found}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of this part: what was measured, and the floor of the same run."""
    lines = []
    for name, figures in found["protocols"].items():
        row = cells(PROTOCOLS[name], figures)
        lines.append((f"{row[0]}: {row[1]}", f"{row[4]} (floor {row[2]}; aimed at {row[5]})"))
    return lines or [("skipped", f"no recordings in {folder()}; FOREWARN_DATA_DIR names another folder")]


def pictures(found: dict[str, Any], results: Path) -> None:
    """Put the table between its markers in the README beside the results."""
    put(results.parent / "README.md", "science", table(found["protocols"]))
