"""Finding recordings: a bad file is one error with its place and mend, and the others go on."""

from __future__ import annotations

import threading

import pytest

from edge.sensors.formats.options import machine_name


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("cut.parquet", "cut", "cut short"),
        ("half.parquet", "half", "cut short"),
        ("empty.parquet", b"", "empty"),
        ("empty.wav", b"", "empty"),
        ("empty.csv", b"", "empty"),
        ("text.parquet", b"time,value\n1,2\n", "no Parquet"),
        ("other.parquet", b"RIFF\x00\x00\x00\x00WAVE", "no Parquet"),
        ("other.wav", b"PAR1 and so on PAR1", "no WAV"),
        ("zeros.parquet", b"PAR1" + b"\x00" * 100 + b"PAR1", "damaged"),
        ("other.csv", b"PAR1\xff\xfe\x00\x01PAR1", "no text"),
        ("tiny.parquet", b"PAR1", "cut short"),
    ],
)
def test_a_damaged_file_is_one_error_and_its_neighbours_are_replayed(pronostia, find, name, content, what) -> None:
    good = pronostia("Good")
    if isinstance(content, str):
        whole = good.read_bytes()
        content = whole[: {"cut": len(whole) - 3, "half": len(whole) // 2}[content]]
    bad = good.with_name(name)
    bad.write_bytes(content)
    (recording,), (problem,) = find(good.parent)
    assert recording.name == "Good"
    assert what in problem.what
    assert problem.where == str(bad)
    assert problem.mend
    assert len(list(recording.open().windows())) == 12


def test_bytes_damaged_in_the_middle_are_found_before_a_window_is_sent(pronostia, find) -> None:
    path = pronostia(rows=200, samples=2560)
    data = bytearray(path.read_bytes())
    data[1000:200_000] = b"\x5a" * 199_000
    path.write_bytes(data)
    recordings, (problem,) = find(path)
    assert recordings == []
    assert "damaged" in problem.what


def test_a_path_that_is_not_there_an_unknown_suffix_and_an_empty_folder_are_told(tmp_path, find) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    _, problems = find(tmp_path / "absent", tmp_path / "notes.txt", tmp_path / "folder")
    assert [
        "no such file" in problems[0].what,
        "no known format" in problems[1].what,
        "has no" in problems[2].what,
    ] == [True] * 3


def test_only_the_wanted_machines_are_read_and_unknown_ones_are_told(pronostia, find) -> None:
    folder = pronostia("A1").parent
    pronostia("A2")
    (folder / "A3_vib.parquet").write_bytes(b"")
    (recording,), refused = find(folder, only=["A2"])
    assert (recording.name, refused) == ("A2", [])
    recordings, problems = find(folder, only=["A3", "B"])
    assert recordings == []
    assert [("empty" in p.what, "'B'" in p.what) for p in problems] == [(True, False), (False, True)]
    assert "A1" in problems[1].mend


def test_a_machine_met_twice_is_replayed_once(pronostia, find, tmp_path) -> None:
    path = pronostia("A1")
    recordings, (problem,) = find(path, path)
    assert len(recordings) == 1
    assert "second recording of A1" in problem.what


def test_a_recording_without_rows_is_refused(pronostia, find) -> None:
    _, (problem,) = find(pronostia(rows=0))
    assert "holds no window" in problem.what


def test_closing_a_replay_ends_it_from_another_thread(pronostia, find) -> None:
    (recording,), _ = find(pronostia())
    sensor = recording.open(speed=1.0)
    windows: list[object] = []
    thread = threading.Thread(target=lambda: windows.extend(sensor.windows()))
    thread.start()
    sensor.close()
    thread.join(timeout=5.0)
    assert not thread.is_alive()
    assert len(windows) <= 1


def test_a_file_that_becomes_damaged_after_it_was_checked_still_ends_in_our_error(pronostia, find) -> None:
    from models.errors import RecordingRejected

    path = pronostia()
    (recording,), _ = find(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RecordingRejected, match="cut short"):
        list(recording.open().windows())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("OR@12_007_0", "OR-12_007_0"),
        ("../../etc/passwd", "etc-passwd"),
        ("<script>", "script-"),
        ("Pumpe Süd 7", "Pumpe S-d 7"),
        ("\u202eevil", "evil"),
        ("", "unnamed"),
        ("x" * 99, "x" * 64),
    ],
)
def test_names_can_go_into_keys_and_pages(text: str, name: str) -> None:
    assert machine_name(text).lstrip("-") == name


def test_parquet_without_pyarrow_says_which_extra_to_install(pronostia, find, monkeypatch) -> None:
    from models.errors import WrongUse

    path = pronostia()
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(WrongUse, match="forewarn\\[replay\\]"):
        find(path)


def test_importing_the_sensors_does_not_import_pyarrow() -> None:
    import subprocess
    import sys

    code = "import sys, edge.sensors.replay, edge.sensors.simulator, edge.features; print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_any_folder_of_public_data_is_understood(recordings, find) -> None:
    expected = {"cwru": 41, "hit_sm": 21, "mfpt": 10, "skab": 18, "nab": 1}
    for folder, count in expected.items():
        found, refused = find(recordings / folder)
        assert (len(found), refused) == (count, []), folder
