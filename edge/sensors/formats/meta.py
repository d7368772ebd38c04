"""`meta.json` beside a folder's recordings: speeds, rates, scales and geometry that the files do not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edge.types import Bearing
from models.errors import RecordingRejected


def load(folder: Path) -> dict[str, Any]:
    """The folder's meta.json, {} where there is none; RecordingRejected when it is no JSON object."""
    file = folder / "meta.json"
    if not file.exists():
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as e:
        raise RecordingRejected(str(e), where=str(file), mend="restore it, or remove it to do without") from e


def bearing(folder: Path, meta: dict[str, Any]) -> Bearing | None:
    """The geometry under `bearing`, lengths in mm; None where it is not known."""
    found = meta.get("bearing")
    if found is None:
        return None
    try:
        balls, ball, pitch = int(found["balls"]), float(found["ball_diameter_mm"]), float(found["pitch_diameter_mm"])
        if not (balls > 0 and 0 < ball < pitch):
            raise ValueError(f"{balls} balls of {ball} on {pitch}")
        contact = float(found.get("contact_deg", 0.0))
        return Bearing(balls=balls, ball_diameter=ball, pitch_diameter=pitch, contact_angle_deg=contact)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise RecordingRejected(
            f"`bearing` is not understood: {e!r}",
            where=str(folder / "meta.json"),
            mend="give balls, ball_diameter_mm, pitch_diameter_mm, contact_deg",
        ) from e


def section(known: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The object at a path of keys, {} where it is absent or no object."""
    found: Any = known
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def positive(value: Any) -> float | None:
    """A number above 0, or None for anything else: an unknown speed is done without."""
    return float(value) if isinstance(value, int | float) and value > 0 else None
