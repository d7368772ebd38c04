"""Models: what is trusted, and what is in the slots."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor.types import Facts, Finding, Level

_DAY_S = 86_400.0
_F, _H = Level.FAULT, Level.HINT


def no_trust(facts: Facts) -> Iterator[Finding]:
    """Allowed, but then nothing is learned."""
    if facts.trust and not facts.trust.path:
        yield Finding(
            "trust-none", _H, "no `trust`: this device takes no models", "trust", "copy the cloud's root.json here"
        )


def trust_missing(facts: Facts) -> Iterator[Finding]:
    """A path that leads nowhere."""
    if facts.trust and facts.trust.path and not facts.trust.exists:
        yield Finding(
            "trust-missing", _F, "there is no such file", facts.trust.path, "copy the cloud's root.json there"
        )


def trust_unreadable(facts: Facts) -> Iterator[Finding]:
    """Every model would be refused."""
    if facts.trust and facts.trust.fault:
        yield Finding("trust-unreadable", _F, facts.trust.fault, facts.trust.path, "copy the cloud's root.json again")


def trust_expired(facts: Facts) -> Iterator[Finding]:
    """An expired root serves as a start only while the cloud still has the newer ones."""
    trust = facts.trust
    if trust and trust.expires_s is not None and trust.expires_s < facts.host.clock_s:
        days = (facts.host.clock_s - trust.expires_s) / _DAY_S
        yield Finding(
            "trust-expired",
            _F,
            f"it expired {days:.0f} days ago",
            trust.path,
            "copy the cloud's newest root.json; check the clock",
        )


def model_slot_broken(facts: Facts) -> Iterator[Finding]:
    """The device goes on without a model."""
    for slot in facts.slots:
        if slot.fault:
            yield Finding(
                "model-slot",
                _F,
                slot.fault,
                f"model of class {slot.machine_class}",
                "promote the model again; test the disk",
            )


def machine_class_unknown(facts: Facts) -> Iterator[Finding]:
    """A class of which no model came, where others came: often a typing mistake."""
    known = sorted({s.machine_class for s in facts.slots})
    for s in facts.sensors:
        if known and s.machine.machine_class not in known:
            yield Finding(
                "machine-class",
                _H,
                f"no model ever came for class {s.machine.machine_class!r}, only for {', '.join(known)}",
                f"machine {s.machine.name}",
                "correct `class`, or publish a model for it",
            )
