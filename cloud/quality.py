"""The bits of `quality`, in records as in alerts, with the numbers of the wire."""

from __future__ import annotations

SUSPECT_CLOCK = 1  # the device itself doubts its clock
