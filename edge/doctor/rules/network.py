"""The way to the gateways."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor.types import Facts, Finding, Level

_F = Level.FAULT


def name_not_resolved(facts: Facts) -> Iterator[Finding]:
    """DNS, or a typing mistake."""
    for g in facts.gateways:
        if g.name_fault:
            yield Finding(
                "gateway-name",
                _F,
                f"its name is not resolved: {g.name_fault}",
                g.address,
                "correct it, or the name server",
            )


def gateway_unreachable(facts: Facts) -> Iterator[Finding]:
    """Nobody listens, or a firewall is between."""
    for g in facts.gateways:
        if g.connect_fault:
            yield Finding(
                "gateway-unreachable",
                _F,
                f"no connection: {g.connect_fault}",
                g.address,
                "check address, port and firewall",
            )


def not_a_gateway(facts: Facts) -> Iterator[Finding]:
    """The port of something else, often of the pages."""
    for g in facts.gateways:
        if g.not_a_gateway:
            yield Finding(
                "gateway-wrong-port",
                _F,
                f"no gateway answers there: {g.not_a_gateway}",
                g.address,
                "name the gateway's port; where it speaks TLS only, set [cloud]",
            )


def another_protocol_version(facts: Facts) -> Iterator[Finding]:
    """Device and cloud were updated apart."""
    for g in facts.gateways:
        if g.version_fault:
            yield Finding("gateway-version", _F, g.version_fault, g.address, "update the older of the two")


def gateway_refuses(facts: Facts) -> Iterator[Finding]:
    """Another enterprise's."""
    for g in facts.gateways:
        if g.refused:
            yield Finding(
                "gateway-refuses", _F, f"it refuses this device: {g.refused}", g.address, "correct `enterprise`"
            )
