"""The faults of certificates that the doctor knows."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor.types import Facts, Finding, Level

SOON_S = 14 * 86_400.0
_DAY_S = 86_400.0
_OTHERS = 0o077  # permission bits


def plain_text(facts: Facts) -> Iterator[Finding]:
    """Allowed, for a network of the plant's own."""
    for g in facts.gateways:
        if g.plain:
            what = "records and alarms travel as plain text, and nobody proves who they are"
            yield Finding("gateway-plain", Level.HINT, what, g.address, "set `ca` in [cloud]; docs/certificates.md")


def handshake_fails(facts: Facts) -> Iterator[Finding]:
    """Name the certificate at fault, the gateway's or ours."""
    for g in facts.gateways:
        if g.tls_fault:
            what = f"no TLS with it: {g.tls_fault}"
            mend = "correct the file that it speaks of, the clock, or the port; docs/certificates.md"
            yield Finding("gateway-tls", Level.FAULT, what, g.address, mend)


def certificate_unusable(facts: Facts) -> Iterator[Finding]:
    """Missing, no PEM, or a key that is another's."""
    c = facts.certificate
    if c and c.fault:
        yield Finding(
            "certificate-unusable", Level.FAULT, c.fault, c.path, "correct the paths in [cloud], or the files"
        )


def certificate_expired(facts: Facts) -> Iterator[Finding]:
    """No gateway takes it any more."""
    c = facts.certificate
    if c and c.ends_s is not None and c.ends_s <= facts.host.clock_s:
        days = (facts.host.clock_s - c.ends_s) / _DAY_S
        yield Finding("certificate-expired", Level.FAULT, f"it expired {days:.1f} days ago", c.path, "renew it")


def certificate_not_yet_valid(facts: Facts) -> Iterator[Finding]:
    """Mostly a clock that is wrong."""
    c = facts.certificate
    if c and c.begins_s is not None and c.begins_s > facts.host.clock_s:
        days = (c.begins_s - facts.host.clock_s) / _DAY_S
        yield Finding("certificate-not-yet", Level.FAULT, f"it is valid in {days:.1f} days", c.path, "check the clock")


def certificate_ends_soon(facts: Facts) -> Iterator[Finding]:
    """Time to renew it."""
    c = facts.certificate
    if c and c.ends_s is not None and 0 < c.ends_s - facts.host.clock_s < SOON_S:
        days = (c.ends_s - facts.host.clock_s) / _DAY_S
        mend = "put the renewed files in place: the agent takes them without a restart"
        yield Finding("certificate-soon", Level.HINT, f"it expires in {days:.1f} days", c.path, mend)


def certificate_of_another(facts: Facts) -> Iterator[Finding]:
    """Every call would be refused."""
    c = facts.certificate
    if c and c.wanted and c.wanted not in c.names:
        what = f"it is of {', '.join(c.names) or 'nobody'}, not of {c.wanted}"
        mend = "give this device its own certificate, or correct enterprise, site and device"
        yield Finding("certificate-of-another", Level.FAULT, what, c.path, mend)


def key_readable_by_others(facts: Facts) -> Iterator[Finding]:
    """Who can read it can be this device."""
    c = facts.certificate
    if c and c.key_mode & _OTHERS:
        what = f"other users of this computer may read its key (mode {c.key_mode:o})"
        yield Finding("key-readable", Level.HINT, what, c.path, "chmod 600")


RULES = (
    *(plain_text, handshake_fails, certificate_unusable, certificate_expired, certificate_not_yet_valid),
    *(certificate_ends_soon, certificate_of_another, key_readable_by_others),
)
