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
CLOCK = Zone("", "?", "Times in doubt")
SENSOR_FAULT = Zone("", "\N{MULTIPLICATION X}", "Sensor fault")


@dataclass(frozen=True, slots=True)
class Told:
    """What an alarm says to the person who gets it."""

    sentence: str
    do: str
    disprove: str


_BEARING = "Listen at the bearing and feel its temperature, grease it as planned, and have a spare ready."
_GREASED = "the lines at its frequency vanish after greasing and stay away, or the speed is not what was configured"
_LOOK = "Go and look, listen and touch: is anything different today? If nothing explains it, plan an inspection."
_CHANGED = "load, speed or product changed at the same time, or the figures return by themselves"
_CABLE = "Check cable, plug and supply; replace the sensor if they are good."
_OFF = "the machine and its supply were switched off on purpose"
_FAULTS = {
    "outer_race": Told("The outer ring of the bearing is damaged.", _BEARING, _GREASED),
    "inner_race": Told("The inner ring of the bearing is damaged.", _BEARING, _GREASED),
    "ball": Told("A rolling element of the bearing is damaged.", _BEARING, _GREASED),
    "cage": Told(
        "The cage of the bearing is damaged.",
        "Check the lubrication; plan the change soon: a cage fails fast.",
        _GREASED,
    ),
    "unbalance": Told(
        "The rotor is out of balance.",
        "Look for build-up, a lost weight or a damaged blade; clean and balance it.",
        "the vibration at shaft speed does not grow with the speed",
    ),
    "misalignment": Told(
        "The shafts are out of line.",
        "Check coupling and foot bolts; align the shafts when the machine is warm.",
        "nothing vibrates at twice the shaft's speed",
    ),
    "looseness": Told(
        "Something is loose.",
        "Check foot bolts, bearing seats and the frame.",
        "the harmonics of the shaft's speed remain after tightening",
    ),
    "degradation": Told("The machine is wearing out as others did before they failed.", _LOOK, _CHANGED),
    "deviation": Told("The machine behaves unlike its healthy start.", _LOOK, _CHANGED),
    "dropout": Told("The sensor drops out.", _CABLE, _OFF),
    "dead": Told("The sensor gives nothing any more.", _CABLE, _OFF),
    "stuck": Told("The sensor always says the same.", _CABLE, "the machine stands still"),
    "intermittent": Told(
        "The sensor loses contact again and again.",
        "Check plug, cable and mounting.",
        "the machine itself stops and starts",
    ),
    "spikes": Told(
        "The sensor's signal has spikes that no machine makes.",
        "Check cable, shield and earthing; look for a drive or a radio beside it.",
        "something strikes the housing",
    ),
    "clipped": Told(
        "The sensor is driven beyond its range.",
        "Check the sensor's range and its amplifier; look for strong shocks at the machine.",
        "another sensor shows the same peaks",
    ),
    "unit": Told(
        "The sensor's readings changed by one factor at once.",
        "Check unit, range and gain of the sensor and of what reads it.",
        "another sensor of the machine changed as much",
    ),
    "swapped": Told(
        "Two sensors seem to be swapped.",
        "Check which cable is in which input.",
        "the machine was turned or mounted anew",
    ),
}
_UNUSUAL = Told("The machine behaves in an unusual way.", _LOOK, _CHANGED)
_REASONS = {
    "no_model": "no model runs here yet",
    "not_its_channels": "the model reads channels that are not here",
    "no_trend": "the model sees no clear trend yet",
    "too_little_history": "there is too little history",
    "not_its_task": "the model tells the condition, not the time",
    "sensor_fault": "the sensor cannot be trusted",
    "not_finite": "the model gave no usable figures",
}
_FEATURES = {
    "rms@1": "Vibration",
    "peak@1": "Highest peak",
    "crest@1": "Crest factor",
    "shape@1": "Shape factor",
    "kurtosis@1": "Kurtosis",
    "envelope_rms@1": "Envelope",
    "velocity_rms@1": "Vibration velocity",
    "degradation@1": "Degradation",
    "band1_rms@1": "Vibration, highest band",
    "band2_rms@1": "Vibration, high band",
    "band3_rms@1": "Vibration, middle band",
    "band4_rms@1": "Vibration, low band",
    "band5_rms@1": "Vibration, lowest band",
    "envelope_bpfo@1": "Envelope at the outer ring's frequency",
    "envelope_bpfi@1": "Envelope at the inner ring's frequency",
    "envelope_bsf@1": "Envelope at the rolling elements' frequency",
    "envelope_ftf@1": "Envelope at the cage's frequency",
    "prominence_bpfo@1": "Outer ring's line stands out by",
    "prominence_bpfi@1": "Inner ring's line stands out by",
    "prominence_bsf@1": "Rolling elements' line stands out by",
    "sideband_bpfi@1": "Sidebands of the inner ring's line stand out by",
    "sideband_bsf@1": "Sidebands of the rolling elements' line stand out by",
    "frequency_bpfo@1": "Outer ring's line found at",
    "frequency_bpfi@1": "Inner ring's line found at",
    "frequency_bsf@1": "Rolling elements' line found at",
}
_CONFIDENCE = {"unsure": "Unsure", "quite_sure": "Quite sure", "sure": "Sure"}
_UNITS = ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def told(fault: str, *, by_baseline: bool) -> Told:
    """What to say of a fault; without a model, wear only means that the machine is unlike its healthy start."""
    return _FAULTS.get("deviation" if by_baseline and fault == "degradation" else fault, _UNUSUAL)


RETURNED = Told(
    "What raised this alarm is gone.",
    "Nothing now. If nobody repaired or changed anything, look at the next round: it may come back.",
    "the machine or its sensor was switched off",
)


def no_estimate(reason: str) -> str:
    """Why nothing is said of the remaining life."""
    why = _REASONS.get(reason, "")
    return f"No estimate of the remaining life{': ' if why else ''}{why}."


def feature(name: str) -> str:
    """A feature's name as a person would say it."""
    return _FEATURES.get(name, name.partition("@")[0].replace("_", " ").capitalize())


def confidence(key: str) -> str:
    """How sure, as a word."""
    return _CONFIDENCE.get(key, key)


def duration(seconds: float) -> str:
    """How long, in the largest unit that leaves at least one."""
    size, unit = next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])
    count = round(max(seconds, 0.0) / size)
    return f"{count} {unit}" + ("" if count == 1 else "s")
