"""What a device has learned moves to the device that replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import wire
from edge.carry.copy import Copy, export_state, import_state, pack, read_state, unpack
from edge.outbox import Outbox
from models.errors import WrongUse

LEARNED = {
    "judge/P-101": b'{"kept": 1}',
    "detector/P-101": b'{"channels": {}}',
    "extractor/P-101": b"{}",
    "trend/P-101/3": b"\x00\xff",
    "open/P-101": b"\x90",
    "judge/P-102": b"{}",
    "detector/P-102": b"{}",
    "extractor/P-102": b"{}",
}
NOT_LEARNED = {
    "schema/00000000000000ff": b"[]",
    "clock": b"29000000",
    "position/P-101": b"17",
    "heard/P-101": b"\x00" * 8,
    "announce/P-101": b"[]",
    "copy/P-101": b"{}",
}


def outbox(folder: Path) -> Outbox:
    folder.mkdir(exist_ok=True)
    return Outbox(folder / "outbox.sqlite", gap=wire.gap_parcel)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    old = outbox(tmp_path / "old")
    old.append([], LEARNED | NOT_LEARNED)
    assert export_state(old, tmp_path / "state.fw") == ["P-101", "P-102"]
    old.close()
    return tmp_path / "state.fw"


def test_a_new_device_knows_what_the_old_one_had_learned_and_nothing_that_was_its_own(
    tmp_path: Path, exported: Path
) -> None:
    new = outbox(tmp_path / "new")
    import_state(new, read_state(exported))
    assert {n: new.state(n) for n in LEARNED} == LEARNED
    assert [new.state(n) for n in NOT_LEARNED] == [None] * len(NOT_LEARNED)
    assert new.head == 0  # nothing to deliver came with it
    new.close()


def test_what_a_device_has_learned_itself_is_replaced_only_when_asked(tmp_path: Path, exported: Path) -> None:
    new = outbox(tmp_path / "new")
    new.append([], {"detector/P-101": b"own"})
    with pytest.raises(WrongUse, match="learned P-101 already"):
        import_state(new, read_state(exported))
    assert new.state("detector/P-101") == b"own"
    import_state(new, read_state(exported), replace=True)
    assert new.state("detector/P-101") == LEARNED["detector/P-101"]
    new.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"state 2 ", b"state 3 ", "format 3"),
        (b"forewarn", b"backward", "no exported state"),
        (b"\nx\xda", b"\nx\x9c", "changed or damaged"),
        (b"state 2 ", b"state 2 9", "changed or damaged"),  # longer than the file
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(exported: Path, old: bytes, new: bytes, said: str) -> None:
    assert old in exported.read_bytes()
    exported.write_bytes(exported.read_bytes().replace(old, new, 1))
    with pytest.raises(WrongUse, match=f"{exported.name}.*{said}"):
        read_state(exported)


@pytest.mark.parametrize("part", ["meta/P-101", "detector/P-102", "detector", "schema/ff"])
def test_a_copy_brings_nothing_but_what_its_machine_taught(part: str) -> None:
    with pytest.raises(WrongUse, match=part):
        unpack(pack(Copy("P-101", 1, {part: b""})))


@pytest.mark.parametrize("cut", [0, 1, 40, 100, -1])
def test_a_copy_that_was_cut_off_is_refused(cut: int) -> None:
    whole = pack(Copy("P-101", 1, {"judge/P-101": bytes(range(256))}))[: -1 if cut == -1 else cut]
    with pytest.raises(WrongUse):
        unpack(whole)


def test_a_store_that_has_learned_nothing_exports_nothing(tmp_path: Path) -> None:
    empty = outbox(tmp_path / "empty")
    with pytest.raises(WrongUse, match="learned nothing"):
        export_state(empty, tmp_path / "state.fw")
    assert not (tmp_path / "state.fw").exists()
    empty.close()
