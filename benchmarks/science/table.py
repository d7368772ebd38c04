"""The table of the README, between its markers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.science.protocols import PROTOCOLS, Protocol

BEGIN, END = "<!-- table of python -m benchmarks --only science -->", "<!-- end of the table -->"
_HEAD = (
    "benchmark",
    "measured here",
    "floor of the same run",
    "published",
    "ours (from, to)",
    "aimed at",
)


def cells(protocol: Protocol, figures: Mapping[str, Any]) -> list[str]:
    """Set, measure, floor, published, ours, aim."""
    floor, ours = protocol.read(figures)
    return [protocol.data, protocol.measure, floor, protocol.published, ours, protocol.aim]


def markdown(protocols: Mapping[str, Any]) -> str:
    """All rows that were measured, in the order of the protocols."""
    rows = [_HEAD, ["---"] * len(_HEAD)]
    rows += [cells(protocol, protocols[name]) for name, protocol in PROTOCOLS.items() if name in protocols]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def put(readme: Path, table: str) -> None:
    """Replace what stands between the markers; a file without them stays as it is."""
    if not readme.exists() or BEGIN not in (text := readme.read_text()):
        return
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
