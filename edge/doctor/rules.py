"""The faults the doctor knows: each a pure function from facts to findings, so each can be shown to find its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from edge.detection.sensors import CLIPPED, DEAD, DROPOUT, STUCK, waveform_fault
from edge.doctor import certificate_rules
from edge.doctor.types import Facts, Finding, Level, SensorFacts
from edge.types import Channel, ChannelKind, FloatArray

Rule = Callable[[Facts], Iterator[Finding]]
EARLIEST_S = 1_767_225_600.0  # 2026-01-01: no device has run this software before
LEAST_FREE_BYTES = 64 << 20
LEAST_FREE_INODES = 1_000
LEAST_MEMORY_BYTES = 128 << 20  # the agent takes at most 95 MB, a model's trial has a process of its own
LARGEST_STEP_S = 0.5
LEAST_SAMPLES = 1_024  # 25 Hz between lines at 25.6 kHz
NEAR_QUOTA = 0.8
RATE_TOLERANCE = 0.005  # a bearing's lines are told apart at 1 %
VOLATILE = frozenset({"tmpfs", "ramfs"})
NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
ARCHITECTURES = frozenset({"x86_64", "aarch64"})
PLAUSIBLE_C = (-60.0, 400.0)
_DAY_S = 86_400.0
_F, _H = Level.FAULT, Level.HINT


# --- the computer -------------------------------------------------------------------------------------------------


def clock_before_release(facts: Facts) -> Iterator[Finding]:
    """A clock without battery starts in 1970."""
    if facts.host.clock_s < EARLIEST_S:
        now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(facts.host.clock_s))
        yield Finding(
            "clock-before-release",
            _F,
            f"it is {now}, before this software was made",
            "clock",
            "set it, or fit a battery",
        )


def clock_jumps(facts: Facts) -> Iterator[Finding]:
    """Steps reorder windows."""
    if abs(facts.host.clock_step_s) > LARGEST_STEP_S:
        yield Finding(
            "clock-jumps",
            _F,
            f"the clock moved by {facts.host.clock_step_s:+.1f} s while it was watched",
            "clock",
            "let one service alone set it, slewing rather than stepping (chrony: makestep 1 3)",
        )


def clock_not_synchronised(facts: Facts) -> Iterator[Finding]:
    """Drifting apart from the plant's clock makes event times useless beside other systems'."""
    if facts.host.synchronised is False:
        yield Finding(
            "clock-not-synchronised",
            _F,
            "no time service keeps the clock",
            "clock",
            "enable chrony or timedatectl set-ntp",
        )


def time_zone(facts: Facts) -> Iterator[Finding]:
    """Times are UTC everywhere; local logs beside them mislead."""
    if facts.host.utc_offset_s:
        yield Finding(
            "time-zone",
            _H,
            f"local time is {facts.host.utc_offset_s / 3600:+g} h from UTC, in which all records and logs are",
            "time zone",
            "timedatectl set-timezone UTC",
        )


def log_level(facts: Facts) -> Iterator[Finding]:
    """Debugging logs wear a flash out."""
    if facts.host.log_level == "debug":
        yield Finding("log-level", _H, "the log level is debug", "--log-level", "use info, for the flash's sake")


def python_too_old(facts: Facts) -> Iterator[Finding]:
    """What we are written for."""
    if facts.host.python < (3, 11):
        found = ".".join(map(str, facts.host.python))
        yield Finding("python-too-old", _F, f"this is Python {found}", "python", "install Python 3.11 or later")


def sqlite_too_old(facts: Facts) -> Iterator[Finding]:
    """Before 3.37 the outbox cannot be relied on."""
    if facts.host.sqlite < (3, 37, 0):
        found = ".".join(map(str, facts.host.sqlite))
        yield Finding("sqlite-too-old", _F, f"this is SQLite {found}", "python's sqlite3", "install 3.37 or later")


def architecture(facts: Facts) -> Iterator[Finding]:
    """There are wheels of ONNX Runtime for 64 bits only."""
    if facts.host.architecture not in ARCHITECTURES:
        yield Finding(
            "architecture",
            _F,
            f"{facts.host.architecture} has no ONNX Runtime",
            "cpu",
            "use x86_64 or aarch64 in 64 bits",
        )


def cpu_without_vectors(facts: Facts) -> Iterator[Finding]:
    """Numpy's and ONNX Runtime's wheels end with an illegal instruction below these."""
    host = facts.host
    needed = {"x86_64": "sse4_2", "aarch64": "asimd"}.get(host.architecture)
    if needed and host.cpu_flags is not None and needed not in host.cpu_flags:
        yield Finding("cpu-capability", _F, f"the processor has no {needed}", "cpu", "use a processor that has it")


def onnxruntime_does_not_load(facts: Facts) -> Iterator[Finding]:
    """Without it, a device only has its day-zero alarms."""
    if facts.host.onnxruntime_fault:
        yield Finding(
            "onnxruntime",
            _F,
            f"ONNX Runtime does not load: {facts.host.onnxruntime_fault}",
            "onnxruntime",
            "install the pinned wheels: pip install --require-hashes -r constraints/edge.txt",
        )


def too_little_memory(facts: Facts) -> Iterator[Finding]:
    """The kernel would end the agent."""
    free = facts.host.memory_available_bytes
    if free is not None and free < LEAST_MEMORY_BYTES:
        yield Finding(
            "memory",
            _F,
            f"{free >> 20} MiB of memory are available, {LEAST_MEMORY_BYTES >> 20} needed",
            "memory",
            "stop others",
        )


# --- the store ----------------------------------------------------------------------------------------------------


def store_missing(facts: Facts) -> Iterator[Finding]:
    """The agent does not make it: a missing mount must not be filled."""
    if facts.store and not facts.store.exists:
        yield Finding("store-missing", _F, "the store's folder does not exist", facts.store.path, "create or mount it")


def store_not_writable(facts: Facts) -> Iterator[Finding]:
    """Nothing can be kept."""
    if facts.store and facts.store.exists and not facts.store.writable:
        yield Finding(
            "store-not-writable",
            _F,
            "the store cannot be written",
            facts.store.path,
            "chown it, or mount it read-write",
        )


def store_volatile(facts: Facts) -> Iterator[Finding]:
    """What is kept must outlive a power cut."""
    if facts.store and facts.store.file_system in VOLATILE:
        yield Finding(
            "store-volatile",
            _F,
            f"the store is on {facts.store.file_system}, which a restart empties",
            facts.store.path,
            "put it on a disk or flash (ext4, xfs, btrfs, f2fs)",
        )


def store_on_a_network(facts: Facts) -> Iterator[Finding]:
    """SQLite's log needs shared memory and real locks."""
    if facts.store and facts.store.file_system in NETWORKED:
        yield Finding(
            "store-on-network",
            _F,
            f"the store is on {facts.store.file_system}",
            facts.store.path,
            "put it on a local disk",
        )


def disk_nearly_full(facts: Facts) -> Iterator[Finding]:
    """In bytes or in files."""
    store = facts.store
    if not store:
        return
    if store.free_bytes is not None and store.free_bytes < LEAST_FREE_BYTES:
        yield Finding(
            "disk-full", _F, f"{store.free_bytes >> 20} MiB are free", store.path, "free some, or lower the quota"
        )
    if store.free_inodes is not None and store.free_inodes < LEAST_FREE_INODES:
        yield Finding("disk-full", _F, f"{store.free_inodes} files can still be made", store.path, "remove small files")


def quota_beyond_the_disk(facts: Facts) -> Iterator[Finding]:
    """The disk would be full before the policy drops anything."""
    store = facts.store
    if store and store.free_bytes is not None and store.free_bytes + store.kept_bytes < store.quota_bytes:
        yield Finding(
            "quota-beyond-disk",
            _H,
            f"outbox.quota_bytes is {store.quota_bytes:,}, but only {store.free_bytes + store.kept_bytes:,} would fit",
            store.path,
            "lower outbox.quota_bytes",
        )


def quota_near(facts: Facts) -> Iterator[Finding]:
    """Records will be dropped soon."""
    store = facts.store
    if store and store.kept_bytes > NEAR_QUOTA * store.quota_bytes:
        yield Finding(
            "quota-near",
            _F,
            f"{store.kept_bytes / store.quota_bytes:.0%} of outbox.quota_bytes are in use",
            store.path,
            "mend the way to the gateway, or raise the quota",
        )


def outbox_damaged(facts: Facts) -> Iterator[Finding]:
    """The agent would begin anew with an empty one."""
    if facts.store and facts.store.outbox_fault:
        yield Finding(
            "outbox-damaged",
            _F,
            f"the outbox is damaged: {facts.store.outbox_fault}",
            f"{facts.store.path}/outbox.sqlite",
            "copy it away and test the disk; the agent sets it aside and starts a new one",
        )


def outbox_was_damaged(facts: Facts) -> Iterator[Finding]:
    """It may happen again."""
    if facts.store and facts.store.set_aside:
        yield Finding(
            "outbox-set-aside",
            _H,
            f"{facts.store.set_aside} damaged outboxes were set aside",
            facts.store.path,
            "test the disk, then remove outbox.sqlite.damaged-*",
        )


def store_held(facts: Facts) -> Iterator[Finding]:
    """One agent a store; while it runs, the doctor leaves its sensors alone."""
    if facts.store and facts.store.holder:
        yield Finding(
            "store-held",
            _H,
            f"an agent uses the store ({facts.store.holder}); its sensors were not listened to",
            facts.store.path,
            "nothing, if that is the service; another agent needs a store of its own",
        )


# --- the cloud ----------------------------------------------------------------------------------------------------


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


# --- the sensors --------------------------------------------------------------------------------------------------


def source_unusable(facts: Facts) -> Iterator[Finding]:
    """It cannot be opened or read."""
    if facts.sources_fault:
        yield Finding("source-unusable", _F, facts.sources_fault, "source", "correct the [[machine]] table")
    for s in facts.sensors:
        if s.fault:
            yield Finding("source-unusable", _F, s.fault, f"machine {s.machine.name}", "correct or replace its source")


def sensor_silent(facts: Facts) -> Iterator[Finding]:
    """No window at all, while it was listened to."""
    for s in facts.sensors:
        if s.listened_s and not s.windows and not s.fault:
            yield Finding(
                "sensor-silent",
                _F,
                f"no window in {s.listened_s:g} s",
                f"machine {s.machine.name}",
                "check cable, address and power; listen longer with --seconds",
            )


def channel_missing(facts: Facts) -> Iterator[Finding]:
    """The machine has it, the windows do not; a slow one among them is a drop-out."""
    for s in facts.sensors:
        for channel in s.machine.channels:
            absent = sum(channel.name not in w.samples for w in s.windows)
            if absent and channel.kind is ChannelKind.WAVEFORM:
                yield _of(
                    s,
                    channel,
                    "channel-missing",
                    f"absent from {absent} of {len(s.windows)} windows",
                    "check its cable",
                )


def temperature_dropouts(facts: Facts) -> Iterator[Finding]:
    """Slow channels that come and go, are not numbers, or say what no machine has."""
    for s in facts.sensors:
        for channel in (c for c in s.machine.channels if c.kind is ChannelKind.SCALAR):
            values = [w.samples.get(channel.name) for w in s.windows]
            lost = sum(v is None or not v.size or not np.isfinite(v).all() for v in values)
            if lost:
                yield _of(
                    s, channel, "slow-dropout", f"no value in {lost} of {len(values)} windows", "check its wiring"
                )
            elif channel.unit == "C" and any(_implausible(v) for v in values if v is not None):
                yield _of(s, channel, "slow-implausible", "outside of -60 to 400 C", "check sensor type and scaling")


def not_a_number(facts: Facts) -> Iterator[Finding]:
    """Samples that are no numbers."""
    yield from _with_fault(facts, DROPOUT, "sensor-nan", "samples are not finite numbers", "check driver and cable")


def sensor_dead(facts: Facts) -> Iterator[Finding]:
    """No variation whatever."""
    yield from _with_fault(facts, DEAD, "sensor-dead", "all samples are equal", "check power, cable and input range")


def sensor_stuck(facts: Facts) -> Iterator[Finding]:
    """Long runs of one value."""
    yield from _with_fault(facts, STUCK, "sensor-stuck", "half of the samples repeat one value", "check the converter")


def sensor_clipping(facts: Facts) -> Iterator[Finding]:
    """Impacts are cut off, exactly what is to be heard."""
    yield from _with_fault(facts, CLIPPED, "sensor-clipping", "it reaches the end of its range", "use a larger range")


def rate_drift(facts: Facts) -> Iterator[Finding]:
    """Of windows that follow each other without a pause: their spacing against samples / rate."""
    for s in facts.sensors:
        for channel in (c for c in s.machine.channels if c.kind is ChannelKind.WAVEFORM):
            rate = _measured_rate(s, channel)
            if rate is not None and abs(rate / channel.rate_hz - 1.0) > RATE_TOLERANCE:
                yield _of(
                    s,
                    channel,
                    "rate-drift",
                    f"samples come at {rate:,.0f} Hz, {channel.rate_hz:,.0f} Hz are configured",
                    "correct the rate: all frequencies are off by as much",
                )


def windows_too_short(facts: Facts) -> Iterator[Finding]:
    """Too few lines in the spectrum to tell one fault from another."""
    for s in facts.sensors:
        for channel, heard in _waveforms(s):
            shortest = min(v.size for v in heard)
            if shortest < LEAST_SAMPLES:
                what = f"windows have {shortest} samples, at least {LEAST_SAMPLES} are needed"
                yield _of(s, channel, "windows-short", what, "make the source's windows longer")


def no_bearing_lines(facts: Facts) -> Iterator[Finding]:
    """Without them no alarm says which part it is."""
    for s in facts.sensors:
        fast = any(c.kind is ChannelKind.WAVEFORM for c in s.machine.channels)
        missing = [n for n, v in (("speed", s.machine.speed_rpm), ("bearing geometry", s.machine.bearing)) if v is None]
        if fast and missing:
            yield Finding(
                "no-bearing-lines",
                _H,
                f"{' and '.join(missing)} not known: no alarm can name the part",
                f"machine {s.machine.name}",
                "say speed and geometry in the source's description",
            )


def event_times_run_back(facts: Facts) -> Iterator[Finding]:
    """Windows out of order."""
    for s in facts.sensors:
        times = [w.time_ns for w in s.windows]
        back = sum(b <= a for a, b in pairwise(times))
        if back:
            yield Finding(
                "times-run-back",
                _F,
                f"{back} windows are not after the one before",
                f"machine {s.machine.name}",
                "check its clock",
            )


def _of(s: SensorFacts, channel: Channel, name: str, what: str, mend: str) -> Finding:
    return Finding(name, _F, what, f"machine {s.machine.name}, channel {channel.name}", mend)


def _implausible(values: FloatArray) -> bool:
    return bool(values.min() < PLAUSIBLE_C[0] or values.max() > PLAUSIBLE_C[1])


def _waveforms(s: SensorFacts) -> Iterator[tuple[Channel, list[FloatArray]]]:
    for channel in s.machine.channels:
        heard = [w.samples[channel.name] for w in s.windows if w.samples.get(channel.name, np.empty(0)).size]
        if channel.kind is ChannelKind.WAVEFORM and heard:
            yield channel, heard


def _with_fault(facts: Facts, fault: str, name: str, what: str, mend: str) -> Iterator[Finding]:
    for s in facts.sensors:
        for channel, heard in _waveforms(s):
            count = sum(waveform_fault(v) == fault for v in heard)
            if count:
                yield _of(s, channel, name, f"{what}, in {count} of {len(heard)} windows", mend)


def _measured_rate(s: SensorFacts, channel: Channel) -> float | None:
    """Samples per second of the source's own clock; None where windows have pauses between them."""
    whole = [w for w in s.windows if channel.name in w.samples]
    if len(whole) < 2 or whole[-1].time_ns <= whole[0].time_ns:
        return None
    rate = sum(w.samples[channel.name].size for w in whole[:-1]) / ((whole[-1].time_ns - whole[0].time_ns) * 1e-9)
    return rate if 0.67 < rate / channel.rate_hz < 1.5 else None


RULES: tuple[Rule, ...] = (
    *(clock_before_release, clock_jumps, clock_not_synchronised, time_zone, log_level, python_too_old, sqlite_too_old),
    *(architecture, cpu_without_vectors, onnxruntime_does_not_load, too_little_memory),
    *(store_missing, store_not_writable, store_volatile, store_on_a_network, disk_nearly_full, quota_beyond_the_disk),
    *(quota_near, outbox_damaged, outbox_was_damaged, store_held),
    *(name_not_resolved, gateway_unreachable, not_a_gateway, another_protocol_version, gateway_refuses),
    *certificate_rules.RULES,
    *(no_trust, trust_missing, trust_unreadable, trust_expired, model_slot_broken, machine_class_unknown),
    *(source_unusable, sensor_silent, channel_missing, temperature_dropouts, not_a_number, sensor_dead, sensor_stuck),
    *(sensor_clipping, rate_drift, windows_too_short, no_bearing_lines, event_times_run_back),
)


def examine(facts: Facts) -> list[Finding]:
    """Everything that is wrong, faults before hints."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return sorted(found, key=lambda f: f.level is not Level.FAULT)
