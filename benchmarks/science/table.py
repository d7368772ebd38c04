"""The rows of the README's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.readme import markdown
from benchmarks.science.protocols import PROTOCOLS, Protocol

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


def table(protocols: Mapping[str, Any]) -> str:
    """All rows that were measured, in the order of the protocols."""
    return markdown(_HEAD, [cells(p, protocols[name]) for name, p in PROTOCOLS.items() if name in protocols])
