"""The few words that a device says by itself; the crew's own language is the cloud's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of ISO 20816, never by colour alone."""

    letter: str
    shape: str
    word: str


ZONES = {
    "A": Zone("A", "\N{BLACK CIRCLE}", "Good"),
    "B": Zone("B", "\N{BLACK SQUARE}", "Acceptable"),
    "C": Zone("C", "\N{BLACK UP-POINTING TRIANGLE}", "Plan work"),
    "D": Zone("D", "\N{BLACK DIAMOND}", "Act now"),
}
STALE = Zone("", "\N{WHITE CIRCLE}", "No data")
SENSOR_FAULT = Zone("", "\N{MULTIPLICATION X}", "Sensor fault")

_SENTENCES = {
    "outer_race": "The outer ring of the bearing is damaged.",
    "inner_race": "The inner ring of the bearing is damaged.",
    "ball": "A rolling element of the bearing is damaged.",
    "cage": "The cage of the bearing is damaged.",
    "unbalance": "The rotor is out of balance.",
    "misalignment": "The shafts are out of line.",
    "looseness": "Something is loose.",
    "degradation": "The machine is wearing out as others did before they failed.",
    "deviation": "The machine behaves unlike its healthy start.",
    "dropout": "The sensor drops out.",
    "dead": "The sensor gives nothing any more.",
    "stuck": "The sensor always says the same.",
    "clipped": "The sensor is driven beyond its range.",
}
_CONFIDENCE = {"unsure": "Unsure", "quite_sure": "Quite sure", "sure": "Sure"}
_UNITS = ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def sentence(fault: str) -> str:
    """What is wrong, in plain words."""
    return _SENTENCES.get(fault, "The machine behaves in an unusual way.")


def confidence(key: str) -> str:
    """How sure, as a word."""
    return _CONFIDENCE.get(key, key)


def duration(seconds: float) -> str:
    """How long, in the largest unit that leaves at least one."""
    size, unit = next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])
    count = round(max(seconds, 0.0) / size)
    return f"{count} {unit}" + ("" if count == 1 else "s")
