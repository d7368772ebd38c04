"""Finds out what the doctor's rules judge, and changes nothing: no store is made, no gateway remembers the visit."""

# ruff: noqa: PLC0415 - what a fact needs is imported for it: the doctor must run where the agent does not
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import socket
import sqlite3
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from edge.clock import Sure, kept_by_a_time_service
from edge.config import EdgeConfig, zones_of
from edge.doctor.tls import certificate_facts, handshake_fault, material_of
from edge.doctor.types import Facts, GatewayFacts, Host, SensorFacts, SlotFacts, StoreFacts, TrustFacts
from edge.sources import Source, open_sources
from edge.types import Window
from models.addresses import is_loopback
from models.errors import BundleRejected, ForewarnError

_REACH_S = 3.0
_MOST_WINDOWS = 64


def gather(config: EdgeConfig | None, *, listen_s: float, log_level: str = "info") -> Facts:
    """All facts of this device; without a configuration, of its computer only."""
    offset_s = time.time() - time.monotonic()
    store = store_facts(config) if config and config.store else None
    sensors: tuple[SensorFacts, ...] = ()
    sources_fault = ""
    if config:
        try:
            sources = open_sources(config.machine)
        except ForewarnError as e:
            sources_fault = str(e)
        else:
            heard = _listen(sources, 0.0 if store and store.holder else listen_s)
            sensors = tuple(_judged(f, s, config) for f, s in zip(heard, sources, strict=True))
    return Facts(
        store=store,
        gateways=tuple(gateway_facts(a, config) for a in config.gateways) if config else (),
        certificate=certificate_facts(config) if config else None,
        trust=trust_facts(config.trust) if config else None,
        slots=slot_facts(Path(config.store) / "models" / "classes") if config and config.store else (),
        sensors=sensors,
        sources_fault=sources_fault,
        host=_host(log_level, offset_s),
    )


# --- the computer -------------------------------------------------------------------------------------------------


def _host(log_level: str, offset_s: float) -> Host:
    return Host(
        clock_s=time.time(),
        clock_step_s=time.time() - time.monotonic() - offset_s,
        synchronised=kept_by_a_time_service(),
        utc_offset_s=float(time.localtime().tm_gmtoff),
        log_level=log_level,
        python=sys.version_info[:2],
        architecture=platform.machine(),
        cpu_flags=_cpu_flags(),
        onnxruntime_fault=_onnxruntime_fault(),
        memory_available_bytes=_memory_available(),
        sqlite=sqlite3.sqlite_version_info,
    )


def _lines(file: str) -> dict[str, str]:
    try:
        parts = (line.partition(":") for line in Path(file).read_text().splitlines())
        return {name.strip(): value.strip() for name, _, value in parts}
    except OSError:
        return {}


def _cpu_flags() -> frozenset[str] | None:
    found = _lines("/proc/cpuinfo")
    flags = found.get("flags") or found.get("Features")
    return frozenset(flags.split()) if flags else None


def _memory_available() -> int | None:
    """What is free on the machine, or in our control group where that is less."""
    found = [int(v.split()[0]) * 1024 for k, v in _lines("/proc/meminfo").items() if k == "MemAvailable"]
    try:
        limit, used = (Path("/sys/fs/cgroup", f).read_text().strip() for f in ("memory.max", "memory.current"))
        found += [int(limit) - int(used)] if limit.isdigit() else []
    except OSError:
        pass  # no control group of the second version, or none that limits us
    return min(found, default=None)


def _onnxruntime_fault() -> str:
    try:
        import onnxruntime
    except (ImportError, OSError) as e:
        return str(e)
    return "" if "CPUExecutionProvider" in onnxruntime.get_available_providers() else "it has no CPU provider"


# --- the store ----------------------------------------------------------------------------------------------------


def store_facts(config: EdgeConfig) -> StoreFacts:
    """The store's folder, looked at without opening the outbox for writing."""
    folder = Path(config.store)
    if not folder.is_dir():
        return StoreFacts(path=str(folder), exists=False, quota_bytes=config.outbox.quota_bytes)
    disk = os.statvfs(folder)
    fault, kept = _outbox(folder / "outbox.sqlite")
    return StoreFacts(
        path=str(folder),
        writable=os.access(folder, os.W_OK | os.X_OK) and not disk.f_flag & os.ST_RDONLY,
        file_system=file_system_of(folder, Path("/proc/self/mountinfo").read_text()),
        free_bytes=disk.f_bavail * disk.f_frsize,
        free_inodes=disk.f_favail if disk.f_files else None,
        holder=_holder(folder / "lock"),
        outbox_fault=fault,
        set_aside=len(list(folder.glob("outbox.sqlite.damaged-*-[0-9]"))),
        kept_bytes=kept,
        sure=_sure(folder / "outbox.sqlite") if not fault else None,
        quota_bytes=config.outbox.quota_bytes,
    )


def file_system_of(folder: Path, mountinfo: str) -> str:
    """The type of the file system that holds `folder`, from /proc/self/mountinfo; empty if that does not say."""
    best, kind = "", ""
    here = str(folder.resolve())
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        if (here == point or here.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def _holder(lock: Path) -> str:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back at once, by closing
    except BlockingIOError:
        return lock.read_text(errors="replace").strip() or "unknown"
    except OSError:
        pass  # no lock yet, or none that we may read
    return ""


def _outbox(file: Path) -> tuple[str, int]:
    """(what is wrong with the database, bytes kept)."""
    if not file.exists():
        return "", 0
    if not file.stat().st_size:
        return "the file is empty", 0
    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=_REACH_S)
        try:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            kept = connection.execute("SELECT coalesce(sum(size), 0) FROM parcel").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as e:
        return str(e), 0
    return ("" if said == "ok" else said), int(kept)


def _sure(file: Path) -> Sure | None:
    if not file.exists():
        return None
    with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=_REACH_S)) as db:
        row = db.execute("SELECT value FROM state WHERE name = 'clock'").fetchone()
    return Sure.read(row[0]) if row else None


# --- the cloud ----------------------------------------------------------------------------------------------------


def gateway_facts(address: str, config: EdgeConfig) -> GatewayFacts:
    """Name, connection, TLS, protocol, in this order; the first fault ends it."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as e:
        return GatewayFacts(address=address, name_fault=e.strerror or str(e))
    try:
        socket.create_connection((host, int(port)), _REACH_S).close()
    except OSError as e:
        return GatewayFacts(address=address, connect_fault=e.strerror or str(e))
    material = material_of(config)
    if config.cloud.ca and material is None:
        return GatewayFacts(address=address)  # the files are at fault, which is said of them
    if material and (fault := handshake_fault(host, int(port), config.cloud, _REACH_S)):
        return GatewayFacts(address=address, tls_fault=fault)
    from edge.uplink import probe

    verdict, said = probe.probe(
        address,
        enterprise=config.enterprise,
        site=config.site,
        device=config.device,
        within_s=_REACH_S,
        material=material,
    )
    strange = said if verdict in (probe.STRANGER, probe.SILENT) else ""
    return GatewayFacts(
        address=address,
        plain=material is None and not is_loopback(host),
        not_a_gateway=strange,
        version_fault=said if verdict == probe.VERSION else "",
        refused=said if verdict == probe.REFUSED else "",
    )


def trust_facts(path: str) -> TrustFacts:
    """root.json: whether it is one, and until when."""
    file = Path(path)
    if not path or not file.is_file():
        return TrustFacts(path=path, exists=False)
    try:
        signed = json.loads(file.read_bytes())["signed"]
        if signed["_type"] != "root":
            return TrustFacts(path=path, fault=f"it is the {signed['_type']} of a cloud, not its root")
        return TrustFacts(path=path, expires_s=datetime.fromisoformat(signed["expires"]).timestamp())
    except OSError as e:
        return TrustFacts(path=path, fault=f"cannot be read: {e.strerror}")
    except (ValueError, KeyError, TypeError) as e:
        return TrustFacts(path=path, fault=f"it is no root.json: {e!r}")


def slot_facts(classes: Path) -> tuple[SlotFacts, ...]:
    """Each class that has a model: whether the slot in use is whole and loads here."""
    from edge.inference import LoadedBundle
    from edge.updater.slots import Slots

    found = []
    for folder in sorted(classes.iterdir()) if classes.is_dir() else ():
        if not (folder / "current").is_symlink():
            continue  # withdrawn, or never switched
        fault = "the slot in use and the one before are damaged or missing"
        if current := Slots(classes.parent).current(folder.name):
            fault = ""
            try:
                LoadedBundle.open(current[1])
            except BundleRejected as e:
                fault = f"it does not load: {e}"
        found.append(SlotFacts(machine_class=folder.name, fault=fault))
    return tuple(found)


# --- the sensors --------------------------------------------------------------------------------------------------


def _listen(sources: list[Source], seconds: float) -> tuple[SensorFacts, ...]:
    """Listen to all machines at once, for so long; 0 does not listen."""
    found = [SensorFacts(machine=s.sensor.machine) for s in sources]
    if not seconds:
        return tuple(found)

    def hear(index: int) -> None:
        found[index] = _hear(sources[index], seconds)

    threads = [threading.Thread(target=hear, args=(i,), daemon=True) for i in range(len(sources))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    for source in sources:
        source.sensor.close()
    for thread in threads:
        thread.join(1.0)
    silent = [SensorFacts(machine=s.sensor.machine, listened_s=seconds) for s in sources]
    return tuple(f if f.listened_s else s for f, s in zip(found, silent, strict=True))


def _judged(found: SensorFacts, source: Source, config: EdgeConfig) -> SensorFacts:
    """The same with what its windows are held against."""
    limits = zones_of(config, found.machine.name)
    every_s = source.every_s if source.every_s is not None else config.detection.every_s
    return replace(found, every_s=every_s, zones=limits.group if limits else "")


def _hear(source: Source, seconds: float) -> SensorFacts:
    windows: list[Window] = []
    fault = ""
    try:
        for window in source.sensor.windows():
            windows.append(window)
            if len(windows) == _MOST_WINDOWS:
                break
    except ForewarnError as e:
        fault = str(e)
    return SensorFacts(machine=source.sensor.machine, windows=tuple(windows), listened_s=seconds, fault=fault)
