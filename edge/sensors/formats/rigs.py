"""Test rigs with one record a row: CWRU, HIT-SM, MFPT. Each record is a machine; what is wrong with it stays unread.

Labels, and columns that give them away (scales, `pow10`), are used for units at most and never leave this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bearing.frequencies import geometry
from edge.sensors.formats import columns, cut, meta
from edge.sensors.formats.options import Options, machine_name
from edge.sensors.recording import Reading, Recording
from edge.types import Bearing, Channel, ChannelKind, FloatArray, Machine
from models.errors import RecordingRejected

_CWRU_HZ = 12_000.0


def cwru(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """Rows `<record>__<channel>`; scale, rate and speed of a record are in meta.json."""
    known = meta.load(path.parent)
    if not isinstance(known.get("records"), dict):
        raise RecordingRejected(
            "needs the scales of a meta.json with `records`", where=str(path), mend="put meta.json beside it"
        )
    bearing = meta.bearing(path.parent, known)
    rows: dict[str, dict[str, int]] = {}
    for row, key in enumerate(_texts(path, "key")):
        record, _, channel = key.rpartition("__")
        rows.setdefault(record or key, {})[channel] = row
    for record, channels in rows.items():
        try:
            yield _cwru_record(
                path, options, record=record, rows=channels, known=known["records"].get(record), bearing=bearing
            )
        except RecordingRejected as e:
            yield e


def _cwru_record(
    path: Path, options: Options, *, record: str, rows: dict[str, int], known: Any, bearing: Bearing | None
) -> Recording:
    try:
        scales = {c: float(known["scale"][c]) for c in rows}
        rate_hz = float(known["fs_hz"])
        speed_rpm = meta.positive(known.get("rpm"))
    except (KeyError, TypeError, ValueError) as e:
        where = f"{path}:{min(rows.values())}"
        raise RecordingRejected(
            f"record {record!r} has no scale or fs_hz in meta.json", where=where, mend="complete meta.json"
        ) from e
    every = round(rate_hz / _CWRU_HZ)
    if every < 1 or abs(rate_hz - every * _CWRU_HZ) > 1:
        raise RecordingRejected(
            f"record {record!r} was sampled at {rate_hz:g} Hz, not at a multiple of {_CWRU_HZ:g} Hz",
            where=f"{path}:{min(rows.values())}",
            mend="correct fs_hz in meta.json",
        )
    channels = tuple(Channel(name=c, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=_CWRU_HZ) for c in rows)
    machine = Machine(
        name=machine_name(record),
        machine_class=options.machine_class,
        channels=channels,
        speed_rpm=speed_rpm,
        bearing=bearing,
    )

    def read() -> Iterator[Reading]:
        block = {c: _decimated(_row(path, row) * scales[c], every).astype(np.float32) for c, row in rows.items()}
        return cut.windows([block], _CWRU_HZ, options.window_samples)

    called = {c: f"{record}__{c}" for c in rows}
    return Recording(machine=machine, path=path, read=read, called=called)


def _decimated(signal: NDArray[np.float64], every: int) -> NDArray[np.float64]:
    """One of `every` samples, after a windowed-sinc low pass at 0.45 of the new rate (cut at both ends)."""
    if every == 1:
        return signal
    taps = np.arange(-16 * every, 16 * every + 1)
    low_pass = np.sinc(0.9 * taps / every) * np.blackman(taps.size)
    return np.convolve(signal, low_pass / low_pass.sum(), mode="valid")[::every]


def single(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """One channel a row with its rate and speed: `rpm` (HIT-SM), or `shaft_hz` and race frequencies (MFPT)."""
    with columns.open_parquet(path) as file:
        columns.require(path, file, ["file", "fs_hz", "pow10", "counts"])
        names = [n for n in file.schema_arrow.names if n != "counts"]
        with columns.reading(path):
            table = file.read(columns=names).to_pylist()
    shared = meta.bearing(path.parent, meta.load(path.parent))
    for row, (record, name) in enumerate(zip(table, _names(table), strict=True)):
        try:
            yield _single_record(path, options, row, name=name, record=record, shared=shared)
        except RecordingRejected as e:
            yield e


def _names(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells the records apart: the file's stem, where that is not enough with the rig, else with the row."""
    stems = [PurePosixPath(str(r["file"]).replace("\\", "/")).stem for r in table]
    rigs = [f"{stem} {r.get('rig') or ''}" for stem, r in zip(stems, table, strict=True)]
    of_stem, of_rig = Counter(stems), Counter(rigs)
    return [
        stem if of_stem[stem] == 1 else rig if of_rig[rig] == 1 else f"{stem} {row}"
        for row, (stem, rig) in enumerate(zip(stems, rigs, strict=True))
    ]


def _single_record(
    path: Path, options: Options, row: int, *, name: str, record: dict[str, Any], shared: Bearing | None
) -> Recording:
    rate_hz, power = meta.positive(record["fs_hz"]), record["pow10"]
    if rate_hz is None or not isinstance(power, int) or not 0 <= power <= 30:
        raise RecordingRejected("fs_hz or pow10 is no possible number", where=f"{path}:{row}", mend="complete the row")
    shaft_hz = meta.positive(record.get("shaft_hz"))
    rpm = meta.positive(record.get("rpm")) or (60.0 * shaft_hz if shaft_hz else None)
    outer, inner = meta.positive(record.get("bpfo_hz")), meta.positive(record.get("bpfi_hz"))
    known = outer and inner and shaft_hz and outer < inner
    bearing = geometry(outer or 0.0, inner or 0.0, shaft_hz or 0.0) if known else shared
    unit = "g" if shaft_hz else "1"  # HIT-SM's source does not say its unit
    machine = Machine(
        name=machine_name(name),
        machine_class=options.machine_class,
        channels=(Channel(name="vibration", kind=ChannelKind.WAVEFORM, unit=unit, rate_hz=rate_hz),),
        speed_rpm=rpm,
        bearing=bearing,
    )
    read = partial(_read_single, path, row, 10.0**-power, rate_hz, options)
    return Recording(machine=machine, path=path, read=read, called={"vibration": str(record["file"])})


def _read_single(path: Path, row: int, scale: float, rate_hz: float, options: Options) -> Iterator[Reading]:
    block: dict[str, FloatArray] = {"vibration": (_row(path, row) * scale).astype(np.float32)}
    return cut.windows([block], rate_hz, options.window_samples)


def _texts(path: Path, name: str) -> Iterator[str]:
    for first, batch in columns.batches(path, [name], 1024):
        for i, text in enumerate(batch.column(name).to_pylist()):
            if not isinstance(text, str):
                raise RecordingRejected(f"{name} is no text", where=f"{path}:{first + i}", mend="convert it again")
            yield text


def _row(path: Path, row: int) -> NDArray[np.float64]:
    """The counts of one row, read from the row group that holds it."""
    file = columns.open_parquet(path)
    columns.require(path, file, ["counts"])
    with columns.reading(path), file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < first + rows:
                table = file.read_row_group(group, columns=["counts"]).slice(row - first, 1).combine_chunks()
                return columns.lists(path, row, table.to_batches()[0], "counts")[0].astype(np.float64)
            first += rows
    raise RecordingRejected("the file changed while it was read", where=str(path), mend="replay it again")
