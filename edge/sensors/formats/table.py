"""Tables of measurements, one column a channel: slow ones row by row, fast ones cut into windows.

Which it is, follows from what is known: a column of dates is a slow table (its clock may be uneven); a rate is a
waveform. Columns that are labels never become channels. An empty cell of a slow table is a channel that was not
measured then; in a waveform it would be a hole in time, so such a recording is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.sensors.formats import cut
from edge.sensors.formats.options import Source
from edge.sensors.recording import Reading, Recording
from edge.types import ChannelKind, FloatArray, Quality
from models.errors import RecordingRejected

TIME_COLUMNS = ("datetime", "timestamp", "time", "date", "time_s", "seconds", "t")
NOT_CHANNELS = frozenset({"anomaly", "changepoint", "label", "fault", "file_index", "index", "row", ""})
FAST_HZ = 50.0  # a table with an even clock at least this fast is a waveform
_ONE_DAY_NS = 86_400_000_000_000  # a clock that starts below counts from the recording's start, not from 1970
_UNITS = {  # of the Skoltech testbed (SKAB), whose files do not say them
    "Accelerometer1RMS": "g",
    "Accelerometer2RMS": "g",
    "Current": "A",
    "Pressure": "bar",
    "Temperature": "C",
    "Thermocouple": "C",
    "Voltage": "V",
    "Volume Flow RateRMS": "l/min",
}
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table."""

    times: Times | None
    values: dict[str, FloatArray]  # by column; NaN is an empty cell
    where: Callable[[int], str]  # what people call a row of it


Blocks = Callable[[], Iterable[Block]]


def time_column(names: Iterable[str]) -> str | None:
    """The column that holds the time, if one is called so."""
    by_lower = {n.strip().lower(): n for n in reversed(list(names))}
    return next((by_lower[t] for t in TIME_COLUMNS if t in by_lower), None)


def channels_among(names: Iterable[str], time: str | None) -> list[str]:
    """The columns that are measurements."""
    return [n for n in names if n != time and n.strip().lower() not in NOT_CHANNELS and not n.startswith("__index")]


def timed(source: Source, names: list[str], times: Times, blocks: Blocks) -> Recording:
    """A recording with a clock, judged by its first `times` (n,) in ns: fast and even is a waveform, else slow."""
    step_s, even = even_step_s(times)
    if even and 1.0 / step_s >= FAST_HZ:
        return fast(source, names, 1.0 / step_s, blocks)
    source.agreed_rate(1.0 / step_s)
    return slow(source, names, int(times[0]), 1.0 / step_s, blocks)


def slow(source: Source, names: list[str], first_ns: int, rate_hz: float, blocks: Blocks) -> Recording:
    """A recording with one window a row; `first_ns` is the clock at its first row."""
    channels = tuple(source.channel(n, ChannelKind.SCALAR, rate_hz, _UNITS.get(n, "")) for n in names)
    scale = np.float32(source.described.scale)

    def read() -> Iterator[Reading]:
        before: int | None = None
        measured = False
        for block in blocks():
            assert block.times is not None
            values = {n: v * scale for n, v in block.values.items()}
            there = {n: ~np.isnan(v) for n, v in values.items()}
            for i, time_ns in enumerate(block.times.tolist()):
                quality = Quality.GOOD if before is None or time_ns > before else Quality.SUSPECT_CLOCK
                before = time_ns
                samples = {n: v[i : i + 1] for n, v in values.items() if there[n][i]}
                measured = measured or bool(samples)
                yield Reading(time_ns - first_ns, samples, quality)
        if not measured:
            raise RecordingRejected("all its cells are empty", where=str(source.path), mend="record or save it again")

    dated = first_ns if first_ns > _ONE_DAY_NS else None
    return Recording(machine=source.machine(channels), path=source.path, read=read, dated_ns=dated)


def fast(source: Source, names: list[str], rate_hz: float | None, blocks: Blocks) -> Recording:
    """A recording of waveforms that share one rate; RecordingRejected when nothing says which."""
    rate = source.agreed_rate(rate_hz)
    if rate is None:
        raise RecordingRejected(
            "nothing says how fast it was sampled",
            where=str(source.path),
            mend=f"write `rate_hz = ...` into {source.path.stem}.toml beside it, or add a column `time`",
        )
    channels = tuple(source.channel(n, ChannelKind.WAVEFORM, rate) for n in names)
    scale = np.float32(source.described.scale)

    def read() -> Iterator[Reading]:
        scaled = ({n: v * scale for n, v in _whole(block).items()} for block in blocks())
        return cut.windows(scaled, rate, source.window_samples)

    return Recording(machine=source.machine(channels), path=source.path, read=read)


def _whole(block: Block) -> dict[str, FloatArray]:
    for name, values in block.values.items():
        if (empty := np.isnan(values)).any():
            where = block.where(int(empty.argmax()))
            raise RecordingRejected(f"{name} is empty", where=where, mend="cut the recording before this row")
    return block.values


def even_step_s(times: Times) -> tuple[float, bool]:
    """Median step in seconds, and whether the clock is even (all steps within 10 % of it)."""
    steps = np.diff(times) * 1e-9
    if not steps.size:
        return 1.0, False
    median = float(np.median(steps))
    return (median if median > 0 else 1.0), bool(median > 0 and np.all(np.abs(steps - median) <= 0.1 * median))
