"""A power cut of the device: what was written and not synced may be lost, whole or in part, in any order."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge import wire
from edge.outbox import Outbox

HERE = Path(__file__).parent
_HEAD = struct.Struct("<cqqi")
APPENDS = 60
CUTS = 60


@dataclass(frozen=True)
class Entry:
    op: str
    offset: int
    name: str
    data: bytes


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        if os.environ.get("FOREWARN_TEST_ALL") == "1":
            pytest.fail("gcc is not installed")
        pytest.skip("gcc is not installed, and the disk's writes are watched by a small library")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = ["gcc", "-O1", "-w", "-shared", "-fPIC", "-o", str(library), str(HERE / "disk_shim.c"), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


def keep(shim: Path, folder: Path, *, eio: bool) -> list[Entry]:
    """Run a device that keeps records; what it wrote, synced and said, in order."""
    (folder / "store").mkdir()
    log, flag = folder / "log", folder / ("eio" if eio else "none")
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "FOREWARN_SHIM_LOG": str(log),
        "FOREWARN_SHIM_EIO": str(flag),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    command = [sys.executable, str(HERE / "keeping.py"), str(folder / "store"), str(log), str(flag), str(APPENDS)]
    done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data, at, entries = log.read_bytes(), 0, []
    while at < len(data):
        op, offset, size, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = data[at : at + length].decode()
        at += length
        entries.append(Entry(op.decode(), offset, Path(name).name, data[at : at + size] if op == b"w" else b""))
        at += size if op == b"w" else 0
    return entries


def disk_after(entries: list[Entry], rng: random.Random) -> dict[str, bytes]:
    """The files after a cut behind these entries: all that was synced, and some of the rest, some of it torn."""
    synced: dict[str, int] = defaultdict(int)
    for i, entry in enumerate(entries):
        if entry.op == "s":
            synced[entry.name] = i
    files: dict[str, bytearray] = defaultdict(bytearray)
    lucky = rng.random()
    for i, entry in enumerate(entries):
        if entry.op == "u":
            files.pop(entry.name, None)
        if entry.op not in "wt":
            continue
        data = entry.data
        if i > synced[entry.name]:
            if rng.random() > lucky:
                continue
            if entry.op == "w" and rng.random() < 0.3:
                data = data[: rng.randrange(len(data)) & ~511]  # a disk writes whole sectors
        file = files[entry.name]
        if entry.op == "t":
            del file[entry.offset :]
        file.extend(bytes(max(0, entry.offset + len(data) - len(file))))
        file[entry.offset : entry.offset + len(data)] = data
    return {name: bytes(content) for name, content in files.items()}


def content(n: int) -> bytes:
    return struct.pack("<q", n) * (40 if n % 7 else 1500)


def test_what_the_outbox_said_it_keeps_survives_a_power_cut_at_any_moment(shim: Path, tmp_path: Path):
    """Row 2. State and records come back together: the state names the last record."""
    entries = keep(shim, tmp_path, eio=False)
    assert sum(e.op == "w" for e in entries) > APPENDS
    assert sum(e.op == "s" for e in entries) >= APPENDS
    rng = random.Random(2)
    first = next(i for i, e in enumerate(entries) if e.op == "k")
    lost_something = 0
    for round_ in range(CUTS):
        at = rng.randrange(first + 1, len(entries) + 1)
        before = entries[:at]
        kept = max(e.offset for e in before if e.op == "k")
        forgotten = max((e.offset for e in before if e.op == "f"), default=0)
        folder = tmp_path / f"cut-{round_}"
        folder.mkdir()
        for name, data in disk_after(before, rng).items():
            (folder / name).write_bytes(data)
        outbox = Outbox(folder / "outbox.sqlite", gap=wire.gap_parcel)
        try:
            assert not list(folder.glob("*.damaged-*")), f"cut behind entry {at}: the file was taken for damaged"
            assert outbox.head >= kept
            assert outbox.state("n") == str(outbox.head).encode()
            found = {e.last: e.blob for e in outbox.read(0, 1 << 40, 1 << 30)}
            assert set(range(forgotten + 1, kept + 1)) <= set(found)
            assert all(blob == content(n) for n, blob in found.items())
            lost_something += outbox.head < sum(e.op == "k" for e in entries)
        finally:
            outbox.close()
    assert lost_something, "no cut fell before the end"


def test_a_sync_that_fails_is_never_counted_as_kept_and_the_next_ones_are(shim: Path, tmp_path: Path):
    """Row 6: EIO on fsync."""
    entries = keep(shim, tmp_path, eio=True)
    assert [e.op for e in entries if e.op in "ek"].count("e") == 1
    outbox = Outbox(tmp_path / "store" / "outbox.sqlite", gap=wire.gap_parcel)
    found = {e.last: e.blob for e in outbox.read(0, 1 << 40, 1 << 30)}
    outbox.close()
    assert b"must not be kept" not in found.values()
    said = {e.offset for e in entries if e.op == "k"}
    forgotten = max(e.offset for e in entries if e.op == "f")
    assert {n for n in said if n > forgotten} <= set(found)
