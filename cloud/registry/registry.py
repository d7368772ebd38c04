"""What becomes of a bundle: candidate, champion of its machine class, retired, or blocked.

The states live in the `custom` field of the signed targets metadata; the catalogue's rows follow them. So whoever can
write to the database can delay a device, but cannot make it run anything.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine
from tuf.api.metadata import TargetFile

from cloud.catalogue import rollout
from cloud.catalogue.access import reading, writing
from cloud.catalogue.rollout import BundleRow
from cloud.registry import standing
from cloud.registry.admission import admit
from cloud.registry.keys import create_keys, have_keys, load_keys
from cloud.registry.repository import Clock, Repository, State, utc_now
from cloud.registry.standing import Standing, Standings
from cloud.store import ObjectStore
from models.bundle import unpack
from models.errors import BundleRejected, ConfigurationError
from models.graph import check_graph

_ONLINE = ("snapshot", "timestamp")  # the keys that renew what is signed without changing it


class Registry:
    """The bundles of one enterprise."""

    def __init__(
        self, engine: Engine, store: ObjectStore, enterprise: str, keys_dir: Path, *, clock: Clock = utc_now
    ) -> None:
        self._engine = engine
        self._enterprise = enterprise
        self._keys_dir = keys_dir
        self._clock = clock
        self._repository = Repository(store, f"registry/{enterprise}", clock)
        self.trust_root = keys_dir.parent / "trust" / "root.json"

    def initialise(self) -> None:
        """Create keys and repository if there are none, renew what is half expired, write the devices' trust root."""
        with self._alone() as connection:
            if not self._repository.exists():
                signers = load_keys(self._keys_dir) if have_keys(self._keys_dir) else create_keys(self._keys_dir)
                _write_file(self.trust_root, self._repository.create(signers))
            elif not self.trust_root.exists():
                _write_file(self.trust_root, self._repository.first_root())
            state = self._read()
            self._renew_if_due(state)
            self._follow(connection, state)

    def refresh(self) -> None:
        """Renew what is half expired, if the keys are here; called once a day, devices can tell old from withheld."""
        with self._alone():
            self._renew_if_due(self._read())

    def publish(self, data: bytes) -> str:
        """Check a bundle, sign it as a candidate, and return its name; publishing the same bytes again is fine."""
        bundle = unpack(data)
        check_graph(bundle.onnx, inputs=len(bundle.manifest.inputs), outputs=bundle.manifest.shapes)
        admit(bundle.manifest)
        name = bundle.manifest.name
        if not self.trust_root.exists():
            self.initialise()
        with self._alone() as connection:
            state = self._read()
            known = state.files.get(name)
            if known is None:
                fresh = Standing(bundle.manifest.machine_class)
                state.targets.targets[name] = self._repository.add_file(name, data, msgspec.to_builtins(fresh))
                self._repository.write(state, load_keys(self._keys_dir, ("targets", *_ONLINE)))
                self._follow(connection, state)
            elif known.hashes["sha256"] != hashlib.sha256(data).hexdigest():
                raise BundleRejected(
                    "a bundle of this name was published with other bytes", where=name, mend="give it another name"
                )
        return name

    def promote(self, name: str) -> None:
        """Assign a bundle to its machine class; the champion until now is retired."""
        admit(unpack(self.read(name)).manifest)  # it may have been signed before these rules
        self._change(lambda all_: standing.promote(all_, name))

    def rollback(self, machine_class: str) -> str:
        """Assign again what ran before the champion of a class, and return its name."""
        chosen = ""

        def change(all_: Standings) -> Standings:
            nonlocal chosen
            changed, chosen = standing.rollback(all_, machine_class)
            return changed

        self._change(change)
        return chosen

    def block(self, name: str) -> None:
        """Never run a bundle again; if it is a champion, what ran before it takes over, or no model."""
        self._change(lambda all_: standing.block(all_, name))

    def read(self, name: str) -> bytes:
        """Return a published bundle's bytes, as they were signed."""
        files = self._read().files
        standing.find(_standings(files), name)
        return self._repository.read_file(files[name])

    def verify(self, data: bytes) -> str:
        """Return the signed state of a bundle's bytes; raises `BundleRejected` if they are not what was signed."""
        name = unpack(data).manifest.name
        target = self._read().files.get(name)
        if target is None:
            raise BundleRejected("no signature names it", where=name, mend="publish it first")
        if target.hashes["sha256"] != hashlib.sha256(data).hexdigest():
            raise BundleRejected("these are not the bytes that were signed under its name", where=name)
        return _standing(target).state

    def list(self) -> list[BundleRow]:
        """All published bundles, newest first."""
        with reading(self._engine) as connection:
            return rollout.bundles(connection, self._enterprise)

    def _change(self, change: Callable[[Standings], Standings]) -> None:
        with self._alone() as connection:
            state = self._read()
            before = _standings(state.files)
            after = change(before)
            if after == before:
                return
            for name, file in state.targets.targets.items():
                file.unrecognized_fields["custom"] = msgspec.to_builtins(after[name])
            self._repository.write(state, load_keys(self._keys_dir, ("targets", *_ONLINE)))
            self._follow(connection, state)

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """One writer at a time, over all processes: the catalogue's transaction is the lock."""
        with writing(self._engine) as connection:
            rollout.lock(connection, self._enterprise)
            yield connection

    def _read(self) -> State:
        try:
            trusted = self.trust_root.read_bytes()
        except OSError as e:
            raise ConfigurationError(
                f"cannot read the root that devices trust: {e.strerror}",
                where=str(self.trust_root),
                mend="start `forewarn cloud serve` once, or bring the file from another copy of this registry",
            ) from e
        return self._repository.read(trusted)

    def _renew_if_due(self, state: State) -> None:
        due = self._repository.due(state)
        needed = due | set(_ONLINE)
        if not due or not all((self._keys_dir / f"{role}.pem").exists() for role in needed):
            return
        signers = load_keys(self._keys_dir, tuple(sorted(needed)))
        if "targets" in due:
            self._repository.write(state, signers)
        else:
            self._repository.renew(state, signers)

    def _follow(self, connection: Connection, state: State) -> None:
        """Make the catalogue's rows say what is signed; bundles that it does not know yet are read from the store."""
        now_ns = int(self._clock().timestamp() * 1e6) * 1000
        known = {row.name for row in rollout.bundles(connection, self._enterprise)}
        for name, target in state.files.items():
            if name not in known:
                manifest = unpack(self._repository.read_file(target)).manifest
                row = BundleRow(
                    name=name,
                    machine_class=manifest.machine_class,
                    sha256=target.hashes["sha256"],
                    bytes=target.length,
                    manifest=msgspec.json.encode(manifest, order="sorted").decode(),
                    published_ns=now_ns,
                    state=_standing(target).state,
                )
                rollout.add_bundle(connection, self._enterprise, row)
        states = {n: (s.machine_class, s.state) for n, s in _standings(state.files).items()}
        rollout.follow(connection, self._enterprise, states, now_ns)


def _standing(target: TargetFile) -> Standing:
    return msgspec.convert(target.unrecognized_fields["custom"], Standing)


def _standings(files: Mapping[str, TargetFile]) -> dict[str, Standing]:
    return {name: _standing(target) for name, target in files.items()}


def _write_file(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    with fresh.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    fresh.replace(file)
