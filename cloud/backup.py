"""Everything in one folder and back: catalogue, objects, keys and configuration.

Invariants:
- A backup's catalogue is one moment; every segment that it names is in the backup, or there is no backup.
- `manifest.json` holds the sha256 of every file and is written last, and the folder gets its name after that: a folder
  of that name is a whole backup.
- A restore checks every file before it changes anything, and only fills a cloud that has nothing. The catalogue is
  filled in one transaction, after the objects: what breaks half-way leaves objects without a commit, and no data.

Devices may have moved on since the backup. Each sees at its next Hello that the cloud's memory is not its own, and
begins a new epoch; what it had already forgotten is told by `forewarn lake gaps`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select

from cloud.catalogue import dump, migrations
from cloud.catalogue import tables as t
from cloud.catalogue.access import reading, snapshot, writing
from models.errors import ConfigurationError, ForewarnError, Unavailable, WrongUse

if TYPE_CHECKING:
    from cloud.wiring import Cloud

log: structlog.stdlib.BoundLogger = structlog.get_logger()
_FORMAT = 1
_FOLDERS = ("keys", "trust")  # beside the catalogue and the objects, private to the one who runs the cloud


class BackupDamaged(ForewarnError):
    """A file of a backup is missing or is not what was written; nothing was restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a backup holds or a restore brought back."""

    folder: str
    made_ns: int
    rows: int
    objects: int
    bytes: int


def back_up(cloud: Cloud, folder: Path) -> Done:
    """Write everything into `folder`, which must not exist yet; the cloud may go on meanwhile."""
    if folder.exists():
        raise WrongUse("the folder exists already", where=str(folder), mend="give each backup a folder of its own")
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True, mode=0o700)
        made = _Writer(partial)
        made_ns = time.time_ns()
        rows, paths = _write_catalogue(cloud, made)
        objects = _write_objects(cloud, made, paths)
        _write_private(cloud, made)
        manifest = {
            "format": _FORMAT,
            "schema": migrations.HEAD,
            "enterprise": cloud.enterprise,
            "made_ns": made_ns,
            "made": datetime.fromtimestamp(made_ns / 1e9, UTC).isoformat(timespec="seconds"),
            "rows": rows,
            "objects": objects,
            "files": made.sums,
        }
        made.write("manifest.json", [json.dumps(manifest, indent=1, sort_keys=True).encode()])
        os.sync()
        partial.rename(folder)
    except OSError as e:
        raise Unavailable(f"cannot write the backup: {e}", where=str(folder)) from e
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    log.info("backed up", folder=str(folder), rows=rows, objects=objects, bytes=made.bytes)
    return Done(folder=str(folder), made_ns=made_ns, rows=rows, objects=objects, bytes=made.bytes)


def restore(cloud: Cloud, folder: Path) -> Done:
    """Fill an empty cloud from a backup; a damaged backup or a cloud that has data is refused and nothing changes."""
    manifest = _read_manifest(folder)
    if manifest["enterprise"] != cloud.enterprise:
        mend = f'write enterprise = "{manifest["enterprise"]}" into cloud.toml'
        raise ConfigurationError(f"the backup is of the enterprise {manifest['enterprise']!r}", mend=mend)
    _check_empty(cloud)
    size = sum(_check(folder, name, digest) for name, digest in manifest["files"].items())
    for name in manifest["files"]:
        area, _, rest = name.partition("/")
        if area == "objects":
            cloud.store.put(rest, (folder / name).read_bytes())
        elif area in _FOLDERS:
            _put_private(cloud.data / name, (folder / name).read_bytes())
    with writing(cloud.engine) as connection:
        if not dump.is_empty(connection):
            raise WrongUse("somebody else fills this cloud at this moment")
        rows = 0
        for name in dump.names():
            file = folder / "catalogue" / f"{name}.jsonl"
            if file.exists():
                with file.open("rb") as given:
                    rows += dump.fill(connection, name, given)
        dump.number_on(connection)
    log.info("restored", folder=str(folder), rows=rows, objects=manifest["objects"])
    made_ns, objects = int(manifest["made_ns"]), int(manifest["objects"])
    return Done(folder=str(folder), made_ns=made_ns, rows=rows, objects=objects, bytes=size)


class _Writer:
    """Writes files and keeps their sums."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sums: dict[str, str] = {}
        self.bytes = 0

    def write(self, name: str, parts: Iterable[bytes]) -> int:
        """Write a file of `parts` and return how many they were."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, count = hashlib.sha256(), 0
        with path.open("xb") as file:
            for part in parts:
                file.write(part)
                digest.update(part)
                self.bytes += len(part)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        self.sums[name] = digest.hexdigest()
        return count


def _write_catalogue(cloud: Cloud, made: _Writer) -> tuple[int, list[str]]:
    """Write all tables as they are at one moment; return the rows and the segments' paths."""
    with snapshot(cloud.engine) as connection:
        rows = sum(made.write(f"catalogue/{name}.jsonl", dump.lines(connection, name)) for name in dump.names())
        paths = list(connection.scalars(select(t.segment.c.path).order_by(t.segment.c.path)))
    return rows, paths


def _write_objects(cloud: Cloud, made: _Writer, paths: list[str]) -> int:
    """Write the segments that the catalogue names, and all that is no segment: the signed registry."""
    rest = [key for key in cloud.store.list("") if not key.startswith("lake/")]
    for key in [*paths, *rest]:
        try:
            made.write(f"objects/{key}", [cloud.store.get(key)])
        except KeyError:
            raise ForewarnError(
                "the catalogue names an object that is not there",
                where=key,
                mend="was it collected in this moment? Try again; else see `forewarn lake verify`",
            ) from None
    return len(paths) + len(rest)


def _write_private(cloud: Cloud, made: _Writer) -> None:
    for folder in _FOLDERS:
        for path in sorted((cloud.data / folder).rglob("*")):
            if path.is_file():
                made.write(path.relative_to(cloud.data).as_posix(), [path.read_bytes()])
    if (cloud.data / "cloud.toml").exists():  # kept to read, never restored: the new place has its own
        made.write("cloud.toml", [(cloud.data / "cloud.toml").read_bytes()])


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as e:
        raise WrongUse(f"this is no backup: {e}", where=str(folder)) from e
    if manifest.get("format") != _FORMAT or str(manifest.get("schema", "")) > migrations.HEAD:
        raise ConfigurationError(
            f"the backup has format {manifest.get('format')} and schema {manifest.get('schema')}",
            where=str(folder),
            mend="restore it with the version of Forewarn that made it, or a newer one",
        )
    return manifest


def _check_empty(cloud: Cloud) -> None:
    with reading(cloud.engine) as connection:
        empty = dump.is_empty(connection)
    if not empty or any(True for folder in _FOLDERS for _ in _files(cloud.data / folder)):
        raise WrongUse(
            "this cloud has data or keys already", where=str(cloud.data), mend="restore into an empty data folder"
        )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _check(folder: Path, name: str, digest: str) -> int:
    """Compare one file with the manifest and return its size."""
    path = folder / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise BackupDamaged("the manifest names a file outside of the backup", where=name)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise BackupDamaged(f"cannot read: {e.strerror}", where=str(path)) from e
    if found != digest:
        raise BackupDamaged("the file is not what the backup wrote", where=str(path), mend="take another backup")
    return path.stat().st_size


def _put_private(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
