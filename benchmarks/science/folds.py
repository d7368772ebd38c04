"""Folds that are more than leaving a file out: a fleet's units cut as a test file cuts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.science.runs import Fold, Work

_FOLDS, _CUTS = 5, 3
_NAME = 1000  # a unit's third cut is called 2000 + unit


def cut_units(table: Path, work: Work) -> tuple[list[Fold], Path]:
    """A fifth of the units left out in turn, each cut three times; and a folder with all cuts and the truth.

    Remaining life at a cut is anything from 6 to 145 cycles with the same chance, as in the data set's own test files,
    and at least 30 cycles are seen. The cuts are the same for every seed of training.
    """
    whole = pq.read_table(table)
    unit, cycle = whole["unit"].to_numpy(), whole["cycle"].to_numpy()
    units = np.unique(unit)
    random = np.random.default_rng(0)
    fold_of = dict(zip(units.tolist(), (random.permutation(len(units)) % _FOLDS).tolist(), strict=True))
    said: dict[int, list[pa.Table]] = {f: [] for f in range(_FOLDS)}
    left: dict[int, int] = {}
    for u in units.tolist():
        life = int(cycle[unit == u].max())
        for k, rul in enumerate(random.integers(6, max(min(145, life - 30), 7), _CUTS).tolist()):
            part = whole.filter(pa.array((unit == u) & (cycle <= life - rul)))
            name = pa.array(np.full(part.num_rows, k * _NAME + u))
            said[fold_of[u]].append(part.set_column(part.column_names.index("unit"), "unit", name))
            left[k * _NAME + u] = rul
    subset = table.name.split("_")[1]
    folds = []
    for f in range(_FOLDS):
        train, test = work.links(f"cut/{f}/a", {}), work.links(f"cut/{f}/b", {})
        learned = np.array([fold_of[u] != f for u in unit.tolist()])
        pq.write_table(whole.filter(pa.array(learned)), train / f"train_{subset}.parquet")
        pq.write_table(pa.concat_tables(said[f]), test / f"test_{subset}.parquet")
        folds.append(Fold(f"fold {f}", train, test))
    truth = work.links("cut/all", {})
    pq.write_table(pa.concat_tables([t for parts in said.values() for t in parts]), truth / f"test_{subset}.parquet")
    (truth / f"RUL_{subset}.txt").write_text("".join(f"{left[name]}\n" for name in sorted(left)))
    return folds, truth
