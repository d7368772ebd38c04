"""Any order of appends, acknowledgements, restarts, crashes and new epochs, against a dict."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.outbox import Outbox, Parcel, Range, digest_of, merged
from edge.types import Kind

KINDS = (Kind.FEATURES, Kind.HEALTH, Kind.WAVEFORM, Kind.ALERT)


def gap(ranges: Sequence[Range], reason: str) -> Parcel:
    return Parcel(Kind.GAP, 1, b"gap")


class OutboxAgainstADict(RuleBasedStateMachine):
    @initialize()
    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.clock_ms = 1_000
        self.kept: dict[int, tuple[int, Kind, bytes]] = {}  # last: first, kind, blob
        self.parts: dict[int, set[int]] = {}  # last: the stored part of a parcel that is not wholly stored
        self.state: dict[str, bytes] = {}
        self.head = self.stored_head = 0
        self.stored_digest: bytes | None = None
        self.box = self._open()
        self.epoch = self.box.epoch

    def _open(self) -> Outbox:
        return Outbox(self.folder / "outbox.sqlite", gap=gap, clock_ms=lambda: self.clock_ms)

    @rule(
        parcels=st.lists(
            st.tuples(st.sampled_from(KINDS), st.integers(1, 5), st.binary(min_size=1, max_size=40)), max_size=4
        ),
        state=st.dictionaries(st.sampled_from(["judge", "detector"]), st.binary(max_size=5), max_size=2),
    )
    def append(self, parcels: list[tuple[Kind, int, bytes]], state: dict[str, bytes]) -> None:
        kept = self.box.append([Parcel(*p) for p in parcels], state)
        assert (kept.epoch, kept.first) == (self.epoch, self.head + 1)
        for kind, count, blob in parcels:
            first, self.head = self.head + 1, self.head + count
            self.kept[self.head] = (first, kind, blob)
        self.state |= state

    @rule(ranges=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=3))
    def store(self, ranges: list[tuple[int, int]]) -> None:
        given = [(a, a + n) for a, n in ranges]
        self.box.stored(self.epoch, given)
        numbers = {n for a, b in given for n in range(a, b + 1)}
        for last, (first, kind, blob) in list(self.kept.items()):
            stored = self.parts.get(last, set()) | (numbers & set(range(first, last + 1)))
            if len(stored) < last - first + 1:
                self.parts[last] = stored
                continue
            del self.kept[last]
            if kind is not Kind.ALERT and last > self.stored_head:
                self.stored_head, self.stored_digest = last, digest_of(blob)

    @rule(ranges=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=3))
    def store_of_another_epoch(self, ranges: list[tuple[int, int]]) -> None:
        self.box.stored(self.epoch + 1, [(a, a + n) for a, n in ranges])

    @rule()
    def restart(self) -> None:
        self.box.close()
        self.box = self._open()
        self.parts.clear()  # partial answers are not worth a write: the cloud says them again

    @rule()
    def crash(self) -> None:
        """What a killed process leaves: the files as they are, the write-ahead log not folded in."""
        copy = Path(tempfile.mkdtemp(prefix="outbox-"))
        for name in ("outbox.sqlite", "outbox.sqlite-wal"):
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, copy / name)
        self.box.close()
        shutil.rmtree(self.folder)
        os.rename(copy, self.folder)
        self.box = self._open()
        self.parts.clear()

    @rule()
    def new_epoch(self) -> None:
        self.clock_ms += 1
        self.epoch = self.box.new_epoch("a test")
        old, self.kept, self.head = self.kept, {}, 0
        for last in sorted(old):
            first, kind, blob = old[last]
            first, self.head = self.head + 1, self.head + (last - first + 1)
            self.kept[self.head] = (first, kind, blob)
        self.stored_head, self.stored_digest = 0, None
        self.parts.clear()

    @invariant()
    def the_same_is_kept(self) -> None:
        entries = self.box.read(0, 1 << 62, 1 << 30) + self.box.read_alerts(1 << 30)
        assert {e.last: (e.first, e.kind, e.blob) for e in entries} == self.kept
        assert self.box.kept_ranges() == merged((first, last) for last, (first, _, _) in self.kept.items())
        assert (self.box.epoch, self.box.head, self.box.stored_head) == (self.epoch, self.head, self.stored_head)
        assert (self.box.kept_bytes == 0) == (not self.kept)

    @invariant()
    def every_mark_names_its_content(self) -> None:
        for last, (_, _, blob) in self.kept.items():
            assert self.box.mark(last) == digest_of(blob)
        if self.stored_head:
            assert self.box.mark(self.stored_head) == self.stored_digest

    @invariant()
    def the_state_is_that_of_the_last_append(self) -> None:
        assert {name: self.box.state(name) for name in self.state} == self.state

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.close()
            shutil.rmtree(self.folder, ignore_errors=True)


TestOutboxAgainstADict = OutboxAgainstADict.TestCase
TestOutboxAgainstADict.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
