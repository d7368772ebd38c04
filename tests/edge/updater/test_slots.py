from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from edge.updater.slots import Record, Slots
from models.errors import WrongUse


class PowerCut(BaseException):
    """Nothing after it is done, and nothing handles it."""


def install(slots: Slots, name: str, data: bytes) -> None:
    staged = slots.new_staging_file()
    staged.write_bytes(data)
    path = slots.install("bearing", staged, Record(name, hashlib.sha256(data).hexdigest()))
    slots.switch("bearing", path)


def held(directory: Path) -> tuple[str, bytes] | None:
    found = Slots(directory).current("bearing")
    return found and (found[0].name, found[1].read_bytes())


CALLS = ("replace", "symlink", "fsync", "unlink", "open", "mkdir")


def with_power_cut_after(steps: int, monkeypatch: pytest.MonkeyPatch, work) -> str:
    """Run `work` until its `steps`-th call that changes the disk, and return which that is; empty if it had fewer."""
    left = steps
    died_at = ""

    def counting(real):
        def counted(*arguments, **options):
            nonlocal left, died_at
            left -= 1
            if left < 0:
                died_at = died_at or f"{real.__name__} {_named(real.__name__, arguments)}"
                raise PowerCut
            return real(*arguments, **options)

        return counted

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counting(getattr(os, name)))
        try:
            work()
        except PowerCut:
            return died_at
    return ""


def _named(call: str, arguments: tuple[object, ...]) -> str:
    """Which file or folder a call on the disk changes."""
    about = arguments[1 if call in {"replace", "symlink"} else 0]
    name = Path(os.readlink(f"/proc/self/fd/{about}") if isinstance(about, int) else str(about)).name
    return "a trial's folder" if name.startswith("tmp") else name


@pytest.mark.parametrize("switches_before", [1, 2, 3])
def test_at_every_step_of_a_switch_a_power_cut_leaves_the_old_or_the_new(
    switches_before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property
):
    begin = tmp_path / "begin"
    for i in range(switches_before):
        install(Slots(begin), f"b-{i}", b"%d" % i)
    old, new = held(begin), ("new", b"new")
    seen = []
    for steps in range(100):
        folder = tmp_path / str(steps)
        shutil.copytree(begin, folder, symlinks=True)
        slots = Slots(folder)
        cut = with_power_cut_after(steps, monkeypatch, lambda slots=slots: install(slots, *new))
        assert held(folder) in (old, new)
        seen.append(held(folder))
        Slots(folder).sweep()
        install(Slots(folder), "next", b"next")
        assert held(folder) == ("next", b"next"), "and the next one can be installed"
        if not cut:
            break
        if switches_before == 1:
            record_property("crash point", f"updater before {cut}")
    assert seen[-1] == new
    assert steps > 8, "every step was counted"
    assert seen == [old] * seen.count(old) + [new] * seen.count(new)


def test_a_damaged_slot_is_not_run_and_the_other_one_is(tmp_path: Path):
    slots = Slots(tmp_path)
    install(slots, "old", b"old")
    install(slots, "new", b"new")
    slots.current("bearing")[1].write_bytes(b"worn")
    assert held(tmp_path) == ("old", b"old")
    install(slots, "newest", b"newest")
    assert held(tmp_path) == ("newest", b"newest")


def test_no_slot_is_whole_and_nothing_runs(tmp_path: Path):
    slots = Slots(tmp_path)
    assert slots.current("bearing") is None
    install(slots, "old", b"old")
    slots.current("bearing")[1].unlink()
    assert slots.current("bearing") is None


def test_a_withdrawn_model_is_gone_after_a_restart(tmp_path: Path):
    slots = Slots(tmp_path)
    install(slots, "old", b"old")
    slots.withdraw("bearing")
    slots.withdraw("bearing")
    assert held(tmp_path) is None


def test_leftovers_of_trials_are_swept(tmp_path: Path):
    slots = Slots(tmp_path)
    slots.new_staging_file().write_bytes(b"half")
    slots.sweep()
    assert not (tmp_path / "staging").exists()


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\0b"])
def test_a_machine_class_is_never_a_path(name: str, tmp_path: Path):
    with pytest.raises(WrongUse):
        Slots(tmp_path).current(name)
