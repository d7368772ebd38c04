"""`python -m benchmarks`: runs the parts, prints one table, keeps each part's figures in benchmarks/results/."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import RESULTS

# A part is a module with measure() -> figures, rows(figures) -> (name, value) lines of the table, and, where it has
# something to show, pictures(figures, folder).
ALWAYS = ("edge", "ingest", "diagnosis")
# These take minutes on all cores, or an hour: only when asked for.
ON_REQUEST = ("budget", "scale", "wire", "growth", "rigs", "training", "science")
PARTS = {
    name: f"benchmarks.{name}" for name in (*ALWAYS, *ON_REQUEST) if importlib.util.find_spec(f"benchmarks.{name}")
}


def main(arguments: list[str] | None = None) -> int:
    """Run the parts asked for; 2 when there is no such part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=os.environ.get("ONLY") or None, help="one part, such as edge")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    if chosen.only is not None and chosen.only not in PARTS:
        print(f"there is no part {chosen.only!r}; the parts are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in [chosen.only] if chosen.only else ALWAYS:
        _run(name, chosen.results)
    return 0


def _run(name: str, results: Path) -> None:
    part = importlib.import_module(PARTS[name])
    found: dict[str, Any] = {"part": name, "measured": datetime.now(UTC).isoformat(timespec="seconds"), **_machine()}
    found |= part.measure()
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    if hasattr(part, "pictures"):
        part.pictures(found, results)
    table = part.rows(found)
    width = max(len(label) for label, _ in table)
    print(f"\n{name} ({found['cpu']}, {found['cores']} cores)")
    for label, value in table:
        print(f"  {label:<{width}}  {value:>10}")


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


if __name__ == "__main__":
    sys.exit(main())
