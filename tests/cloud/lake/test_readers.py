"""Other tools read the lake's folder as it is: hive partitions of Parquet. Ray Data does so in `test_cluster`."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow.dataset as ds
import pytest

from cloud.lake.compaction import Compactor
from cloud.lake.gc import collect
from cloud.wiring import Cloud
from tests.cloud.lake.filling import RMS, WIDE, fill


@pytest.fixture
def folder(opened: Cloud) -> Path:
    """The features of two sites in two schemas, compacted in part, with nothing that was replaced."""
    for n in range(3):
        fill(opened, 1 + 10 * n, 10, columns=RMS)
    fill(opened, 31, 10, columns=WIDE)
    fill(opened, 1, 10, site="yard", device="edge-2", machine="P-102")
    Compactor("demo", opened.engine, opened.store).compact(fan_in=2)
    collect(opened.engine, opened.store, "demo", older_than_ns=-1)
    assert opened.lake.rows("features").num_rows == 50
    return opened.data / "store" / "lake" / "enterprise=demo"


def test_duckdb_counts_the_same_rows(folder: Path):
    rows = duckdb.sql(
        'SELECT site, count(*), sum("rms@1"), count("envelope_bpfo@1") '
        f"FROM read_parquet('{folder}/*/kind=features/*/*.parquet', hive_partitioning = true, union_by_name = true) "
        "GROUP BY site ORDER BY site"
    ).fetchall()
    assert rows == [("hall", 40, 820.0, 10), ("yard", 10, 55.0, 0)]


def test_polars_counts_the_same_rows(folder: Path):
    frame = polars.scan_parquet(
        f"{folder}/*/kind=features/*/*.parquet",
        hive_partitioning=True,
        missing_columns="insert",
        extra_columns="ignore",
    )
    rows = frame.group_by("site").agg(polars.len(), polars.col("rms@1").sum()).sort("site").collect()
    assert rows.rows() == [("hall", 40, 820.0), ("yard", 10, 55.0)]


def test_pandas_counts_the_same_rows(folder: Path):
    import pandas

    frame = pandas.read_parquet(folder, filters=[("kind", "=", "features")])
    assert dict(frame.groupby("site", observed=True).size()) == {"hall": 40, "yard": 10}
    assert np.isclose(frame["rms@1"].sum(), 875.0)


def test_the_segments_that_the_catalogue_names_hold_each_row_once_also_while_replaced_ones_wait(opened: Cloud):
    for n in range(3):
        fill(opened, 1 + 10 * n, 10)
    Compactor("demo", opened.engine, opened.store).compact(fan_in=2)
    folder = opened.data / "store"
    files = [str(folder / s.path) for s in opened.lake.segments("features")]
    assert polars.scan_parquet(files).select(polars.len()).collect().item() == 30
    assert ds.dataset(folder / "lake", format="parquet").count_rows() == 60  # which is why the docs say so
