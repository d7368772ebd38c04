"""A TUF repository in the object store: reads, signs and writes its four roles, knows nothing of models.

   <prefix>/metadata/<n>.root.json  <n>.targets.json  <n>.snapshot.json  timestamp.json
   <prefix>/targets/<sha256>.<name>

* Everything but `timestamp.json` is immutable and numbered (consistent snapshots), so a device that reads while we
  write sees the old state or the new one. Replacing `timestamp.json` is the commit.
* Versions only rise. Going back to an earlier bundle is new metadata with a higher number that names it.
* What is signed anew was first verified against the root that devices were given, which is a local file: a changed
  object store cannot make us sign what it likes.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from cloud.registry.keys import ROLES, Signers
from cloud.store import ObjectStore
from models.errors import ForewarnError

Clock = Callable[[], datetime.datetime]
LIFE_DAYS = {"root": 365, "targets": 180, "snapshot": 30, "timestamp": 14}
_COMPACT = JSONSerializer(compact=True)
S = TypeVar("S", Targets, Snapshot, Timestamp)


def utc_now() -> datetime.datetime:
    """The clock of expiry dates."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class State:
    """The signed state that devices see now."""

    targets: Targets
    snapshot: Snapshot
    timestamp: Timestamp

    @property
    def files(self) -> dict[str, TargetFile]:
        """The targets by name."""
        return dict(self.targets.targets)


class Repository:
    """One enterprise's repository below `prefix`; the caller sees to it that one writes at a time."""

    def __init__(self, store: ObjectStore, prefix: str, clock: Clock = utc_now) -> None:
        self._store = store
        self._prefix = prefix
        self._clock = clock

    def exists(self) -> bool:
        """Whether the repository was created to the end."""
        try:
            self._get("timestamp.json")
        except KeyError:
            return False
        return True

    def create(self, signers: Signers) -> bytes:
        """Write version 1 of everything, with no targets; return root.json."""
        root = Root(version=1, expires=self._expires("root"), consistent_snapshot=True)
        for role in ROLES:
            root.add_key(signers[role].public_key, role)
        data = _sign(root, signers["root"])
        self._put("1.root.json", data)
        state = State(Targets(), Snapshot(), Timestamp())
        for signed in (state.targets, state.snapshot, state.timestamp):
            signed.version = 0  # `write` raises it to the first
        self.write(state, signers)
        return data

    def first_root(self) -> bytes:
        """The root that devices are given."""
        return self._get("1.root.json")

    def read(self, trusted_root: bytes) -> State:
        """Return the newest state, verified against `trusted_root`; expiry is not checked, renewing needs no less."""
        root = Metadata[Root].from_bytes(trusted_root).signed
        timestamp = self._verified(Timestamp, root, "timestamp.json")
        snapshot_version = timestamp.snapshot_meta.version
        snapshot = self._verified(Snapshot, root, f"{snapshot_version}.snapshot.json")
        targets = self._verified(Targets, root, f"{snapshot.meta['targets.json'].version}.targets.json")
        return State(targets, snapshot, timestamp)

    def write(self, state: State, signers: Signers) -> None:
        """Sign `state.targets` as the next version, then the snapshot, then the timestamp, which commits it."""
        targets = state.targets
        targets.version += 1
        targets.expires = self._expires("targets")
        data = _sign(targets, signers["targets"])
        self._put(f"{targets.version}.targets.json", data)
        state.snapshot.meta["targets.json"] = MetaFile.from_data(targets.version, data, ["sha256"])
        self.renew(state, signers)

    def renew(self, state: State, signers: Signers) -> None:
        """Sign a new snapshot and timestamp over the same targets, so that devices see the state is not withheld."""
        snapshot, timestamp = state.snapshot, state.timestamp
        snapshot.version += 1
        snapshot.expires = self._expires("snapshot")
        data = _sign(snapshot, signers["snapshot"])
        self._put(f"{snapshot.version}.snapshot.json", data)
        timestamp.version += 1
        timestamp.expires = self._expires("timestamp")
        timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
        self._put("timestamp.json", _sign(timestamp, signers["timestamp"]))

    def due(self, state: State) -> set[str]:
        """The roles of which more than half the life is over."""
        signed = {"targets": state.targets, "snapshot": state.snapshot, "timestamp": state.timestamp}
        now = self._clock()
        return {role for role, s in signed.items() if s.expires - now < datetime.timedelta(days=LIFE_DAYS[role] / 2)}

    def add_file(self, name: str, data: bytes, custom: dict[str, Any]) -> TargetFile:
        """Store a target's bytes and return its entry for the targets metadata."""
        target = TargetFile.from_data(name, data, ["sha256"])
        target.unrecognized_fields["custom"] = custom
        self._store.put(self._file_key(target), data)
        return target

    def read_file(self, target: TargetFile) -> bytes:
        """Return a target's bytes as they were signed."""
        data = self._store.get(self._file_key(target))
        target.verify_length_and_hashes(data)
        return data

    def _verified(self, kind: type[S], root: Root, file: str) -> S:
        try:
            found = Metadata[kind].from_bytes(self._get(file))  # type: ignore[valid-type]
            root.verify_delegate(kind.type, found.signed_bytes, found.signatures)
        except (RepositoryError, KeyError) as e:
            raise ForewarnError(
                f"the registry's metadata is not what our keys signed: {e}",
                where=f"{self._prefix}/metadata/{file}",
                mend="restore the object store's `registry` folder from a backup that goes with the keys",
            ) from e
        assert isinstance(found.signed, kind)
        return found.signed

    def _expires(self, role: str) -> datetime.datetime:
        return self._clock() + datetime.timedelta(days=LIFE_DAYS[role])

    def _file_key(self, target: TargetFile) -> str:
        return f"{self._prefix}/targets/{target.hashes['sha256']}.{target.path}"

    def _put(self, file: str, data: bytes) -> None:
        self._store.put(f"{self._prefix}/metadata/{file}", data)

    def _get(self, file: str) -> bytes:
        return self._store.get(f"{self._prefix}/metadata/{file}")


def _sign(signed: Root | Targets | Snapshot | Timestamp, signer: Any) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    metadata.sign(signer)
    return metadata.to_bytes(_COMPACT)
