"""What a device has learned moves to the device that replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import wire
from edge.carry import export_state, import_state, read_state
from edge.outbox import Outbox
from models.errors import WrongUse

LEARNED = {
    "judge/P-101": b'{"kept": 1}',
    "detector/P-101": b'{"channels": {}}',
    "trend/P-101/3": b"\x00\xff",
    "schema/00000000000000ff": b"[]",
}


def outbox(folder: Path) -> Outbox:
    folder.mkdir(exist_ok=True)
    return Outbox(folder / "outbox.sqlite", gap=wire.gap_parcel)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    old = outbox(tmp_path / "old")
    old.append([], LEARNED)
    assert export_state(old, tmp_path / "state.json").machines == ["P-101"]
    old.close()
    return tmp_path / "state.json"


def test_a_new_device_knows_what_the_old_one_had_learned(tmp_path: Path, exported: Path) -> None:
    new = outbox(tmp_path / "new")
    import_state(new, read_state(exported))
    assert {n: new.state(n) for n in LEARNED if not n.startswith("schema/")} == {
        n: v for n, v in LEARNED.items() if not n.startswith("schema/")
    }
    assert new.state("schema/00000000000000ff") is None
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
        (b'"format":1', b'"format":2', "format 2"),
        (b"judge/P-101", b"judge/P-102", "changed or damaged"),
        (b"{", b"", "no exported state"),
        (b"trend/P-101/3", b"meta/epoch/33", "changed or damaged"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(exported: Path, old: bytes, new: bytes, said: str) -> None:
    exported.write_bytes(exported.read_bytes().replace(old, new, 1))
    with pytest.raises(WrongUse, match=said):
        read_state(exported)


def test_a_store_that_has_learned_nothing_exports_nothing(tmp_path: Path) -> None:
    empty = outbox(tmp_path / "empty")
    with pytest.raises(WrongUse, match="learned nothing"):
        export_state(empty, tmp_path / "state.json")
    assert not (tmp_path / "state.json").exists()
    empty.close()
