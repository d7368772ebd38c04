"""The table of public benchmarks: folds that leave whole machines out, work that goes on where it stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import science
from benchmarks.readme import END, begin
from benchmarks.science import runs
from benchmarks.science.folds import cut_units
from benchmarks.science.runs import Fold, Work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work", lambda text: None)


def test_each_unit_is_left_out_once_and_cut_where_its_truth_says(tmp_path: Path, work: Work) -> None:
    lives = {u: 60 + 20 * u for u in range(1, 11)}
    rows = [(u, c) for u, life in lives.items() for c in range(1, life + 1)]
    unit, cycle = np.array(rows).T
    pq.write_table(pa.table({"unit": unit, "cycle": cycle, "s2": cycle * 1.0}), tmp_path / "train_FD009_few.parquet")
    folds, truth = cut_units(tmp_path / "train_FD009_few.parquet", work)
    asked = pq.read_table(truth / "test_FD009.parquet").to_pydict()
    left = [int(line) for line in (truth / "RUL_FD009.txt").read_text().split()]
    names = sorted(set(asked["unit"]))
    assert names == [k * 1000 + u for k in range(3) for u in lives]
    ends = {n: max(c for m, c in zip(asked["unit"], asked["cycle"], strict=True) if m == n) for n in names}
    assert all(ends[n] + rul == lives[n % 1000] for n, rul in zip(names, left, strict=True))
    for fold in folds:
        learned = set(pq.read_table(fold.train_on / "train_FD009.parquet")["unit"].to_pylist())
        tested = {n % 1000 for n in pq.read_table(fold.test_on / "test_FD009.parquet")["unit"].to_pylist()}
        assert learned | tested == set(lives)
        assert not learned & tested


def test_lines_are_made_once_and_anew_for_other_code_or_other_files(tmp_path: Path, monkeypatch) -> None:
    made: list[int] = []

    def evaluate(benchmark: str, fold: Fold, seed: int) -> Iterator[dict[str, int]]:
        made.append(seed)
        yield {"row": seed}

    work, fold = Work(tmp_path / "work", lambda text: None, evaluate=evaluate), Fold("a", tmp_path, tmp_path)
    assert [work.lines("skab", fold, s) for s in (7, 8, 7)] == [[{"row": 7}], [{"row": 8}], [{"row": 7}]]
    assert made == [7, 8]
    (tmp_path / "one_more.parquet").write_bytes(b"other files")
    work.lines("skab", fold, 7)
    assert made == [7, 8, 7]
    monkeypatch.setattr(runs, "digest", lambda: "other")
    work.lines("skab", fold, 7)
    assert made == [7, 8, 7, 7]


def one_line(benchmark: str, fold: Fold, seed: int) -> list[dict[str, object]]:
    """A benchmark that other processes can run; one seed fails."""
    if seed == 13:
        raise ValueError("an unlucky seed")
    return [{"benchmark": benchmark, "fold": fold.name, "seed": seed, "process": os.getpid()}]


def test_folds_are_made_at_once_in_processes_of_their_own_and_one_that_fails_ends_it(tmp_path: Path) -> None:
    (tmp_path / "side").mkdir()
    folds, said = [Fold(n, tmp_path / "side", tmp_path / "side") for n in "ab"], list[str]()
    work = Work(tmp_path / "work", said.append, at_once=2, evaluate=one_line)
    jobs = [(fold, seed) for fold in folds for seed in (7, 8)]
    with pytest.raises(ValueError, match="an unlucky seed"):
        work.make("x", [*jobs, (folds[0], 13)])
    lines = [line for job in jobs for line in work.lines("x", *job)]
    assert [(line["fold"], line["seed"]) for line in lines] == [("a", 7), ("a", 8), ("b", 7), ("b", 8)]
    assert os.getpid() not in {line["process"] for line in lines}, "what had begun is kept, and not made again"


def endless(benchmark: str, fold: Fold, seed: int) -> list[dict[str, object]]:
    """A fold that takes longer than any test."""
    (fold.train_on / f"{seed}.pid").write_text(str(os.getpid()))
    time.sleep(600)
    return []


def endless_folds(folder: Path) -> None:
    """Two of them at once."""
    fold = Fold("a", folder, folder)
    Work(folder / "work", print, at_once=2, evaluate=endless).make("x", [(fold, 1), (fold, 2)])


def test_folds_end_with_the_run_that_was_killed(tmp_path: Path, repository: Path) -> None:
    code = f"import pathlib; from {__name__} import endless_folds; endless_folds(pathlib.Path({str(tmp_path)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=repository) as run:
        try:
            until(lambda: len([f for f in tmp_path.glob("*.pid") if f.read_text()]) == 2)
        finally:
            run.kill()
    pids = [int(f.read_text()) for f in tmp_path.glob("*.pid")]
    until(lambda: not any(alive(pid) for pid in pids))


def until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait, at most so long."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_file_is_never_on_both_sides(tmp_path: Path, work: Work) -> None:
    files = [tmp_path / n for n in ("a_1.parquet", "a_2.parquet", "b_1.parquet", "meta.json")]
    for file in files:
        file.write_text(file.name)
    folds = work.leaving_out("x", files, lambda f: f.stem.split("_")[0], "*.json")
    sides = {f.name: [sorted(p.name for p in side.iterdir()) for side in (f.train_on, f.test_on)] for f in folds}
    assert sides == {
        "a": [["b_1.parquet", "meta.json"], ["a_1.parquet", "a_2.parquet", "meta.json"]],
        "b": [["a_1.parquet", "a_2.parquet", "meta.json"], ["b_1.parquet", "meta.json"]],
    }


def test_the_table_replaces_what_stood_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{begin('science')}\nold\n{END}\nafter\n")
    both = {"f1": 0.9, "far": 8.0, "mar": 1.0}
    figures = {"7": {"all": {"ours": both, "t2_at_our_far": both, "all_anomalous": both}}}
    (tmp_path / "results").mkdir()
    science.pictures({"protocols": {"skab": figures}}, tmp_path / "results")
    text = readme.read_text()
    assert "old" not in text
    assert "| F1 0.900 at 8.0 % |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_without_recordings_each_is_skipped_with_the_place_to_get_it(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FOREWARN_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(science, "RESULTS", tmp_path)
    assert science.measure() == {"protocols": {}}
    assert "github.com/waico/SKAB" in capsys.readouterr().out
    (tmp_path / "science.json").write_text(json.dumps({"protocols": {"skab": {"7": 1}}}))
    monkeypatch.setenv("SCIENCE", "nab")
    assert science.measure() == {"protocols": {"skab": {"7": 1}}}
