"""Each rule finds its own fault, and nothing else does; a healthy device has no findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.clock import Sure
from edge.doctor import RULES, Facts, Level, examine
from edge.doctor import rules as r
from edge.doctor.rules import certificates as c
from edge.doctor.types import CertificateFacts, GatewayFacts, Host, SensorFacts, SlotFacts, StoreFacts, TrustFacts
from edge.types import Bearing, Channel, ChannelKind, Machine, Window

RATE = 25_600.0
NOW_S = 1_800_000_000.0
FAST = Channel(name="x", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=RATE)
SLOW = Channel(name="t", kind=ChannelKind.SCALAR, unit="C", rate_hz=1.0)
DRIVE = Channel(name="drive", kind=ChannelKind.SCALAR, unit="rpm", rate_hz=0.01)
MACHINE = Machine(
    name="P-101",
    machine_class="pump",
    channels=(FAST, SLOW),
    speed_rpm=1800.0,
    bearing=Bearing(balls=9, ball_diameter=7.9, pitch_diameter=39.0),
)
NOISE = np.random.default_rng(1).normal(0, 1, 2560).astype(np.float32)
LUKEWARM = np.array([40.0], np.float32)


def windows(x=NOISE, t=LUKEWARM, spacing_s=10.0, lacking=""):
    """Three windows; what is said of the channels is said of the second."""
    good, odd = {"x": NOISE, "t": LUKEWARM}, {"x": x, "t": t}
    odd.pop(lacking, None)
    each = enumerate((good, odd, good))
    return tuple(Window(machine="P-101", time_ns=round(i * spacing_s * 1e9), samples=s) for i, s in each)


def hearing(machine=MACHINE, *, spacing_s=10.0, every_s=None, **changes):
    """What is heard of a machine, on the schedule that is configured unless `every_s` says otherwise."""
    heard = windows(spacing_s=spacing_s, **changes)
    return (SensorFacts(machine=machine, windows=heard, listened_s=5.0, every_s=every_s or abs(spacing_s)),)


HOST = Host(clock_s=NOW_S, synchronised=True, cpu_flags=frozenset({"sse4_2"}), memory_available_bytes=1 << 30)
STORE = StoreFacts(path="/var/lib/forewarn", free_bytes=8 << 30, free_inodes=1_000_000)
GATEWAY = GatewayFacts(address="gateway:7443")
URI = "forewarn://acme/hall/edge-7"
CERTIFICATE = CertificateFacts(path="device.pem", begins_s=0.0, ends_s=NOW_S + 1e7, names=(URI,), wanted=URI)
TRUST = TrustFacts(path="root.json", expires_s=NOW_S + 1e7)
HEALTHY = Facts(
    host=HOST,
    store=STORE,
    gateways=(GATEWAY,),
    certificate=CERTIFICATE,
    trust=TRUST,
    slots=(SlotFacts(machine_class="pump"),),
    sensors=hearing(),
)


def host(**changes):
    return replace(HEALTHY, host=replace(HOST, **changes))


def store(**changes):
    return replace(HEALTHY, store=replace(STORE, **changes))


def gateway(**changes):
    return replace(HEALTHY, gateways=(replace(GATEWAY, **changes), GATEWAY))


def certificate(**changes):
    return replace(HEALTHY, certificate=replace(CERTIFICATE, **changes))


def trust(**changes):
    return replace(HEALTHY, trust=replace(TRUST, **changes))


def sensor(**changes):
    return replace(HEALTHY, sensors=hearing(**changes))


def clipped():
    return np.clip(NOISE, -0.5, 0.5)


def with_a_hole():
    broken = NOISE.copy()
    broken[7] = np.nan
    return broken


def with_a_spike():
    broken = NOISE.copy()
    broken[1000] = 80.0
    return broken


def stuck():
    broken = NOISE.copy()
    broken[:2000] = 0.25
    return broken


CASES = {
    r.clock_before_release: (host(clock_s=86_400.0), "clock-before-release", "1970-01-02"),
    r.clock_jumps: (host(clock_step_s=-3.0), "clock-jumps", "-3.0 s"),
    r.clock_in_doubt: (store(sure=Sure(int(NOW_S) + 3600)), "clock-in-doubt", "is behind"),
    r.clock_not_synchronised: (host(synchronised=False), "clock-not-synchronised", "no time service"),
    r.time_zone: (host(utc_offset_s=7200.0), "time-zone", "+2 h"),
    r.log_level: (host(log_level="debug"), "log-level", "debug"),
    r.python_too_old: (host(python=(3, 9)), "python-too-old", "3.9"),
    r.sqlite_too_old: (host(sqlite=(3, 7, 17)), "sqlite-too-old", "3.7.17"),
    r.architecture: (host(architecture="armv7l"), "architecture", "armv7l"),
    r.cpu_without_vectors: (host(cpu_flags=frozenset({"sse2"})), "cpu-capability", "sse4_2"),
    r.onnxruntime_does_not_load: (host(onnxruntime_fault="no libc"), "onnxruntime", "no libc"),
    r.too_little_memory: (host(memory_available_bytes=50 << 20), "memory", "50 MiB"),
    r.store_missing: (store(exists=False), "store-missing", "does not exist"),
    r.store_not_writable: (store(writable=False), "store-not-writable", "cannot be written"),
    r.store_volatile: (store(file_system="tmpfs"), "store-volatile", "tmpfs"),
    r.store_on_a_network: (store(file_system="nfs4"), "store-on-network", "nfs4"),
    r.disk_nearly_full: (store(free_inodes=12), "disk-full", "12 files"),
    r.quota_beyond_the_disk: (store(free_bytes=500_000_000), "quota-beyond-disk", "500,000,000"),
    r.quota_near: (store(kept_bytes=900_000_000), "quota-near", "90%"),
    r.outbox_damaged: (store(outbox_fault="malformed"), "outbox-damaged", "malformed"),
    r.outbox_was_damaged: (store(set_aside=2), "outbox-set-aside", "2 damaged"),
    r.store_held: (store(holder="process 7"), "store-held", "process 7"),
    r.name_not_resolved: (gateway(name_fault="unknown"), "gateway-name", "unknown"),
    r.gateway_unreachable: (gateway(connect_fault="refused"), "gateway-unreachable", "refused"),
    r.not_a_gateway: (gateway(not_a_gateway="UNAVAILABLE"), "gateway-wrong-port", "UNAVAILABLE"),
    r.another_protocol_version: (gateway(version_fault="2 to 3"), "gateway-version", "2 to 3"),
    r.gateway_refuses: (gateway(refused="not acme"), "gateway-refuses", "acme"),
    c.plain_text: (gateway(plain=True), "gateway-plain", "plain text"),
    c.handshake_fails: (gateway(tls_fault="its certificate: hostname mismatch"), "gateway-tls", "hostname mismatch"),
    c.certificate_unusable: (
        replace(HEALTHY, certificate=CertificateFacts(path="device.key", fault="cannot be read")),
        "certificate-unusable",
        "cannot be read",
    ),
    c.certificate_expired: (certificate(ends_s=NOW_S - 43_200), "certificate-expired", "0.5 days ago"),
    c.certificate_not_yet_valid: (certificate(begins_s=NOW_S + 86_400), "certificate-not-yet", "in 1.0 days"),
    c.certificate_ends_soon: (certificate(ends_s=NOW_S + 3 * 86_400), "certificate-soon", "in 3.0 days"),
    c.certificate_of_another: (certificate(names=("forewarn://acme/hall/x",)), "certificate-of-another", "hall/x"),
    c.key_readable_by_others: (certificate(key_mode=0o644), "key-readable", "mode 644"),
    r.no_trust: (trust(path="", exists=False), "trust-none", "no models"),
    r.trust_missing: (trust(exists=False), "trust-missing", "no such file"),
    r.trust_unreadable: (trust(fault="no JSON"), "trust-unreadable", "no JSON"),
    r.trust_expired: (trust(expires_s=NOW_S - 3 * 86_400), "trust-expired", "3 days"),
    r.model_slot_broken: (
        replace(HEALTHY, slots=(SlotFacts(machine_class="pump", fault="torn"),)),
        "model-slot",
        "torn",
    ),
    r.machine_class_unknown: (replace(HEALTHY, slots=(SlotFacts(machine_class="fan"),)), "machine-class", "'pump'"),
    r.source_unusable: (replace(HEALTHY, sources_fault="no such file"), "source-unusable", "no such file"),
    r.sensor_silent: (
        replace(HEALTHY, sensors=(SensorFacts(machine=MACHINE, listened_s=5.0),)),
        "sensor-silent",
        "no window in 5 s",
    ),
    r.channel_missing: (sensor(lacking="x"), "channel-missing", "1 of 3"),
    r.temperature_dropouts: (sensor(t=np.array([np.nan], np.float32)), "slow-dropout", "1 of 3"),
    r.not_a_number: (sensor(x=with_a_hole()), "sensor-nan", "1 of 3"),
    r.sensor_dead: (sensor(x=np.zeros(2560, np.float32)), "sensor-dead", "1 of 3"),
    r.sensor_stuck: (sensor(x=stuck()), "sensor-stuck", "1 of 3"),
    r.sensor_clipping: (sensor(x=clipped()), "sensor-clipping", "1 of 3"),
    r.sensor_intermittent: (
        sensor(x=NOISE * np.tile(np.repeat([1.0, 1e-3], 320), 4).astype(np.float32)),
        "sensor-intermittent",
        "1 of 3",
    ),
    r.sensor_spikes: (sensor(x=with_a_spike()), "sensor-spikes", "1 of 3"),
    r.schedule_differs: (
        sensor(spacing_s=60.0, every_s=10.0),
        "schedule-differs",
        "every 60 s, the false-alarm budget counts on one",
    ),
    r.windows_not_judged: (
        sensor(machine=replace(MACHINE, channels=(FAST, SLOW, DRIVE))),
        "windows-not-judged",
        "absent from 3 of 3 windows",
    ),
    r.unit_without_velocity: (
        sensor(machine=replace(MACHINE, channels=(replace(FAST, unit="G"), SLOW))),
        "unit-without-velocity",
        "unit 'G'",
    ),
    r.zones_unheard: (
        replace(HEALTHY, sensors=(replace(*hearing(), zones="iso20816-3-group2-rigid"),)),
        "zones-unheard",
        "iso20816-3-group2-rigid",
    ),
    r.rate_drift: (sensor(spacing_s=0.098), "rate-drift", "26,122 Hz"),
    r.windows_too_short: (sensor(x=NOISE[:512]), "windows-short", "512 samples"),
    r.no_bearing_lines: (sensor(machine=replace(MACHINE, speed_rpm=None)), "no-bearing-lines", "speed not known"),
    r.event_times_run_back: (sensor(spacing_s=-10.0), "times-run-back", "2 windows"),
}


def test_a_healthy_device_has_no_findings():
    assert examine(HEALTHY) == []


def test_every_rule_has_a_case_and_there_are_at_least_twenty_names():
    assert set(CASES) == set(RULES)
    assert len(RULES) == len(set(RULES))
    assert len({name for _, name, _ in CASES.values()}) >= 40


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_fault_is_found_by_its_rule_alone_and_says_what_where_and_what_to_do(rule):
    facts, name, said = CASES[rule]
    (found,) = examine(facts)
    assert list(rule(facts)) == [found]
    assert found.name == name
    assert said in found.what
    assert found.where
    assert found.mend


def test_a_temperature_no_machine_has_is_named():
    (found,) = examine(sensor(t=np.array([-273.0], np.float32)))
    assert found.name == "slow-implausible"


def test_a_slow_channel_that_comes_more_rarely_than_windows_is_no_drop_out():
    rare = replace(MACHINE, channels=(FAST, replace(SLOW, rate_hz=0.01)))
    assert examine(sensor(machine=rare, lacking="t")) == []
    (found,) = examine(sensor(lacking="t"))
    assert (found.name, found.what) == ("slow-dropout", "no value in 1 of 3 windows")


def test_a_machine_whose_speed_is_measured_needs_no_configured_one():
    machine = replace(MACHINE, speed_rpm=None, channels=(FAST, SLOW, DRIVE))
    told = tuple(replace(w, samples={**w.samples, "drive": np.array([1480.0], np.float32)}) for w in windows())
    assert examine(replace(HEALTHY, sensors=(SensorFacts(machine=machine, windows=told, listened_s=5.0),))) == []


def test_a_full_disk_is_named_before_the_quota_that_made_it_so():
    names = [f.name for f in examine(store(free_bytes=1 << 20))]
    assert names == ["disk-full", "quota-beyond-disk"]


def test_a_channel_that_comes_and_goes_says_nothing_of_the_rate():
    both = replace(MACHINE, channels=(FAST, replace(FAST, name="y"), SLOW))
    each = [Window(machine="P-101", time_ns=i * 100_000_000, samples={"x": NOISE, "t": LUKEWARM}) for i in range(6)]
    heard = tuple(replace(w, samples={**w.samples, "y": NOISE}) if i % 3 else w for i, w in enumerate(each))
    facts = replace(HEALTHY, sensors=(SensorFacts(machine=both, windows=heard, listened_s=5.0, every_s=0.1),))
    assert [f.name for f in examine(facts)] == ["channel-missing"]


def test_windows_with_pauses_between_them_say_nothing_of_the_rate():
    assert examine(sensor(spacing_s=0.3)) == []


def test_faults_come_before_hints():
    facts = replace(host(log_level="debug"), sources_fault="none")
    assert [f.level for f in examine(facts)] == [Level.FAULT, Level.HINT]
