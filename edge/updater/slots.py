"""Two slots and a pointer: at any instant the device has the old model or the new one, never none or half of one.

    classes/<class>/a/bundle.fwb  .../a/record.json   the verified file, and what it was when it was verified
    classes/<class>/b/...
    classes/<class>/current -> a                      replaced by rename, after the other slot is whole and on the disk

The invariant: the slot in use is never written. What is found damaged at start (a worn flash) is not
used; the other slot is, if it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from models.bundle import LARGEST_BUNDLE, NAME
from models.errors import WrongUse

BUNDLE = "bundle.fwb"
_RECORD = "record.json"
_CURRENT = "current"


class Record(msgspec.Struct, frozen=True):
    """What a slot held when it was verified."""

    name: str
    sha256: str


class Slots:
    """The models of one device, two slots for each machine class."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self.metadata_dir = directory / "tuf"
        self._staging = directory / "staging"
        self.metadata_dir.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove what interrupted trials left behind."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def new_staging_file(self) -> Path:
        """A path for one trial, on the same file system as the slots, in a folder of its own."""
        self._staging.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._staging)) / BUNDLE

    def discard(self, staged: Path) -> None:
        """Remove what a trial left of `new_staging_file`."""
        shutil.rmtree(staged.parent, ignore_errors=True)

    def current(self, machine_class: str) -> tuple[Record, Path] | None:
        """The verified bundle to run, whole as it was verified; None if there is none."""
        folder = self._folder(machine_class)
        try:
            pointed = os.readlink(folder / _CURRENT)
        except OSError:
            return None  # never switched, or withdrawn
        for slot in (pointed, "ab".replace(pointed, "")):
            if found := _read_slot(folder / slot):
                return found
        return None

    def known_files(self, machine_class: str) -> tuple[str, ...]:
        """Bundles on the device, so that going back to the last one needs no download."""
        files = (self._folder(machine_class) / slot / BUNDLE for slot in "ab")
        return tuple(str(f) for f in files if f.exists())

    def install(self, machine_class: str, staged: Path, record: Record) -> Path:
        """Move a verified file into the slot that is not in use, without switching to it; return its new path."""
        slot = self._folder(machine_class) / self._other(machine_class)
        slot.mkdir(parents=True, exist_ok=True)
        _sync_file(staged)
        os.replace(staged, slot / BUNDLE)  # from here until the record is written, the slot's digest fits nothing
        _write_synced(slot / _RECORD, msgspec.json.encode(record))
        _sync_folder(slot)
        return slot / BUNDLE

    def switch(self, machine_class: str, path: Path) -> None:
        """Make `path`, as `install` returned it, the current bundle: one rename, on the disk when this returns."""
        folder = self._folder(machine_class)
        fresh = folder / "current.new"
        fresh.unlink(missing_ok=True)
        os.symlink(path.parent.name, fresh)
        os.replace(fresh, folder / _CURRENT)
        _sync_folder(folder)

    def withdraw(self, machine_class: str) -> None:
        """Run without a model from now on."""
        folder = self._folder(machine_class)
        if (folder / _CURRENT).is_symlink():
            (folder / _CURRENT).unlink()
            _sync_folder(folder)

    def _other(self, machine_class: str) -> str:
        """The slot that may be written: not the one in use."""
        found = self.current(machine_class)
        return "b" if found is not None and found[1].parent.name == "a" else "a"

    def _folder(self, machine_class: str) -> Path:
        if not NAME.fullmatch(machine_class):
            raise WrongUse(f"{machine_class!r} cannot be the name of a machine class")
        return self._root / "classes" / machine_class


def _read_slot(slot: Path) -> tuple[Record, Path] | None:
    try:
        record = msgspec.json.decode((slot / _RECORD).read_bytes(), type=Record)
        with (slot / BUNDLE).open("rb") as file:
            data = file.read(LARGEST_BUNDLE + 1)
    except (OSError, msgspec.DecodeError):  # ValidationError is a DecodeError
        return None
    if hashlib.sha256(data).hexdigest() != record.sha256:
        return None
    return record, slot / BUNDLE


def _write_synced(file: Path, data: bytes) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_bytes(data)
    _sync_file(fresh)
    os.replace(fresh, file)


def _sync_file(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_folder = _sync_file  # on Linux a directory is synced like a file
