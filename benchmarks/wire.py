"""The wire between device and gateway: what mutual TLS costs, how a long backlog drains, and what overtakes it."""

from __future__ import annotations

import os
from typing import Any

from benchmarks import backlog, mtls, slow_link


def measure() -> dict[str, Any]:
    """The figures of all three, and how busy the machine was beside them."""
    found = {"load_before": os.getloadavg()[0], **mtls.measure(), **backlog.measure(), **slow_link.measure()}
    return {**found, "load_after": os.getloadavg()[0]}


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [*mtls.rows(figures), *backlog.rows(figures), *slow_link.rows(figures)]
