"""The faults the doctor knows: each a pure function from facts to findings, so each can be shown to find its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.doctor.rules import certificates
from edge.doctor.rules.clock import (
    clock_before_release,
    clock_in_doubt,
    clock_jumps,
    clock_not_synchronised,
    time_zone,
)
from edge.doctor.rules.computer import (
    architecture,
    cpu_without_vectors,
    log_level,
    onnxruntime_does_not_load,
    python_too_old,
    sqlite_too_old,
    too_little_memory,
)
from edge.doctor.rules.measuring import (
    event_times_run_back,
    no_bearing_lines,
    rate_drift,
    schedule_differs,
    unit_without_velocity,
    windows_not_judged,
    windows_too_short,
    zones_unheard,
)
from edge.doctor.rules.models import (
    machine_class_unknown,
    model_slot_broken,
    no_trust,
    trust_expired,
    trust_missing,
    trust_unreadable,
)
from edge.doctor.rules.network import (
    another_protocol_version,
    gateway_refuses,
    gateway_unreachable,
    name_not_resolved,
    not_a_gateway,
)
from edge.doctor.rules.sensors import (
    channel_missing,
    not_a_number,
    sensor_clipping,
    sensor_dead,
    sensor_intermittent,
    sensor_silent,
    sensor_spikes,
    sensor_stuck,
    source_unusable,
    temperature_dropouts,
)
from edge.doctor.rules.store import (
    disk_nearly_full,
    outbox_damaged,
    outbox_was_damaged,
    quota_beyond_the_disk,
    quota_near,
    store_held,
    store_missing,
    store_not_writable,
    store_on_a_network,
    store_volatile,
)
from edge.doctor.types import Facts, Finding, Level

Rule = Callable[[Facts], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    *(clock_before_release, clock_jumps, clock_in_doubt, clock_not_synchronised, time_zone, log_level),
    *(python_too_old, sqlite_too_old),
    *(architecture, cpu_without_vectors, onnxruntime_does_not_load, too_little_memory),
    *(store_missing, store_not_writable, store_volatile, store_on_a_network, disk_nearly_full, quota_beyond_the_disk),
    *(quota_near, outbox_damaged, outbox_was_damaged, store_held),
    *(name_not_resolved, gateway_unreachable, not_a_gateway, another_protocol_version, gateway_refuses),
    *certificates.RULES,
    *(no_trust, trust_missing, trust_unreadable, trust_expired, model_slot_broken, machine_class_unknown),
    *(source_unusable, sensor_silent, channel_missing, temperature_dropouts, not_a_number, sensor_dead, sensor_stuck),
    *(sensor_intermittent, sensor_spikes, sensor_clipping),
    *(rate_drift, schedule_differs, windows_not_judged, windows_too_short, event_times_run_back),
    *(unit_without_velocity, zones_unheard, no_bearing_lines),
)


def examine(facts: Facts) -> list[Finding]:
    """Everything that is wrong, faults before hints."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return sorted(found, key=lambda f: f.level is not Level.FAULT)
