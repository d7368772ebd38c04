"""What is measured for each benchmark, and how its figures are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.science.folds import cut_units
from benchmarks.science.runs import Fold, Work

Figures = dict[str, Any]
Read = Callable[[Mapping[str, Any]], tuple[str, str]]  # figures -> floor of the same run, ours


@dataclass(frozen=True, slots=True)
class Protocol:
    """One row of the table."""

    data: str  # the folder of the recordings
    source: str  # where to get them
    measure: str
    published: str
    aim: str
    run: Callable[[Path, Work], Figures]
    read: Read


def _spread(values: Sequence[float], form: str) -> str:
    """The mean, and from where to where over the seeds."""
    mean = form.format(float(np.mean(values)))
    return f"{mean} ({form.format(min(values))} to {form.format(max(values))})" if len(values) > 1 else mean


def _all(figures: Mapping[str, Any], *path: str) -> list[float]:
    """One number of each seed's figures."""
    found = list(figures.values())
    for key in path:
        found = [f[key] for f in found]
    return found


def _pronostia(data: Path, work: Work) -> Figures:
    files = [data / "meta.json", *sorted(data.glob("*.parquet"))]
    folds = work.leaving_out("pronostia", files, lambda f: "_".join(f.stem.split("_")[:2]), "*.json")
    return work.scored("pronostia", folds, work.seeds, data)


def _pronostia_row(figures: Mapping[str, Any]) -> tuple[str, str]:
    first = next(iter(figures.values()))["all"]
    at = ("in_time", "early", "late", "missed")
    alarms = ["/".join(str(f["all"]["alarms"][k]) for k in at) for f in figures.values()]
    floor = (
        f"0.3 x age: MAE {first['floor']['mae_s']:,.0f} s, interval {first['floor']['winkler_s']:,.0f}, coverage "
        f"{first['floor']['coverage']:.2f}, A {first['floor']['phm_2012']:.3f}"
    )
    ours = (
        f"MAE {_spread(_all(figures, 'all', 'ours', 'mae_s'), '{:,.0f}')} s, interval "
        f"{_spread(_all(figures, 'all', 'ours', 'winkler_s'), '{:,.0f}')}, coverage "
        f"{_spread(_all(figures, 'all', 'ours', 'coverage'), '{:.2f}')}, A "
        f"{_spread(_all(figures, 'all', 'ours', 'phm_2012'), '{:.3f}')}; alarms in time/early/late/missed "
        f"{', '.join(sorted(set(alarms)))}; no estimate {_spread(_all(figures, 'all', 'nulls'), '{:.0%}')}"
    )
    return floor, ours


def _skab(data: Path, work: Work) -> Figures:
    files = sorted(f for f in data.glob("*.parquet") if not f.stem.startswith("anomaly-free"))
    folds = work.leaving_out("skab", files, lambda f: f.stem, "*.json")
    return work.scored("skab", folds, work.seeds[:1], work.links("skab/truth", {f.name: f for f in files}))


def _skab_row(figures: Mapping[str, Any]) -> tuple[str, str]:
    (f,) = (f["all"] for f in figures.values())
    floor = f"T2 at our rate {f['t2_at_our_far']['f1']:.2f}; all anomalous {f['all_anomalous']['f1']:.2f}"
    return floor, f"F1 {f['ours']['f1']:.3f} at {f['ours']['far']:.1f} %"


def _nab(data: Path, work: Work) -> Figures:
    return work.scored("nab", [Fold("same file", data, data)], work.seeds[:1], data)


def _nab_row(figures: Mapping[str, Any]) -> tuple[str, str]:
    (files,) = (f["files"] for f in figures.values())
    (f,) = files.values()
    at = ", ".join(f"x {k}: {v['score']:.1f} ({v['outside']} outside)" for k, v in f["at_limit"].items() if k != "1.0")
    ours = f["ours"]
    return (
        f"an alarm every 47 h {f['every_47_h']['score']:.0f}",
        f"{ours['score']:.1f}, {ours['found']} of {ours['windows']} windows, {ours['outside']} outside; limit {at}",
    )


def _ims(data: Path, work: Work) -> Figures:
    files = [f for f in sorted(data.glob("ims_set*.parquet")) if f.stem[len("ims_set") :].isdigit()]
    folds = work.leaving_out("ims", files, lambda f: f.stem, "*.json")
    return work.scored("ims", folds, work.seeds[:1], work.links("ims/truth", {f.name: f for f in files}))


def _ims_row(figures: Mapping[str, Any]) -> tuple[str, str]:
    from forewarn.evaluation.ims import in_words  # noqa: PLC0415 - torch, too

    (sets,) = (f["sets"] for f in figures.values())
    return tuple(". ".join(f"Set {n}: {in_words(s[who])}" for n, s in sets.items()) for who in ("rms_rule", "ours"))  # type: ignore[return-value]


def _rigs(data: Path, work: Work) -> Figures:
    from benchmarks import rigs  # noqa: PLC0415 - torch, which each process of a fold would load for nothing

    return {name: p for name, p in work.kept("rigs", rigs.measure)["protocols"].items() if name.startswith(data.name)}


def _rigs_row(figures: Mapping[str, Any]) -> tuple[str, str]:
    floors, ours = [], []
    for name, p in figures.items():
        floors.append(", ".join(f"{who} {f['macro_f1']:.2f}" for who, f in p["floors"].items()))
        accused = max(r["healthy_accused"] for r in p["ours"])
        f1 = _spread([r["macro_f1"] for r in p["ours"]], "{:.3f}")
        ours.append(f"{name.split(', ')[1]}: {f1}, {accused} of {p['ours'][0]['healthy']} accused")
    return floors[0], "; ".join(ours)


def _fd001(data: Path, work: Work) -> Figures:
    files = {f.name: f for f in data.glob("*_FD001.*")}
    folder = work.links("cmapss", files)
    return work.scored("cmapss", [Fold("FD001", folder, folder)], work.seeds, folder)


def _fd003(data: Path, work: Work) -> Figures:
    folds, truth = cut_units(next(iter(data.glob("train_FD003*.parquet"))), work)
    return work.scored("cmapss", folds, work.seeds, truth)


def _cmapss_row(figures: Mapping[str, Any]) -> tuple[str, str]:
    name = next(iter(next(iter(figures.values()))))
    first = next(iter(figures.values()))[name]
    floor = f"constant {first['constant']['rmse']:.1f}, line in age {first['line in age']['rmse']:.1f} (in hindsight)"
    return floor, (
        f"{_spread(_all(figures, name, 'ours', 'rmse'), '{:.2f}')}; coverage "
        f"{_spread(_all(figures, name, 'ours', 'coverage'), '{:.2f}')}; interval "
        f"{_spread(_all(figures, name, 'ours', 'winkler'), '{:.1f}')}"
    )


_SOURCES = {
    "skab": "github.com/waico/SKAB",
    "nab": "github.com/numenta/NAB",
    "ims_features": "github.com/fatemeh-studio/nasa-bearing-anomaly",
    "cmapss": "github.com/hankroark/Turbofan-Engine-Degradation",
    "cwru": "github.com/s-whynot/CWRU-dataset",
    "hit_sm": "github.com/hitwzc/Bearing-datasets",
    "mfpt": "github.com/mathworks/RollingElementBearingFaultDiagnosis-Data",
    "pronostia": "github.com/Lucky-Loek/ieee-phm-2012-data-challenge-dataset",
}
_RIG = "macro-F1 by record, healthy records accused"
PROTOCOLS: dict[str, Protocol] = {
    "skab": Protocol(
        "skab",
        _SOURCES["skab"],
        "one file left out: F1 at a false-alarm rate",
        "Conv-AE 0.78 at 13.6 %",
        "0.82 at 13 %",
        _skab,
        _skab_row,
    ),
    "nab": Protocol("nab", _SOURCES["nab"], "ambient temperature, NAB standard", "-", "reported", _nab, _nab_row),
    "ims": Protocol(
        "ims_features",
        _SOURCES["ims_features"],
        "one set left out: hours from the failing bearing's first alarm to the end (80 at most), none elsewhere before",
        "-",
        "set 3: 59 h, none elsewhere before",
        _ims,
        _ims_row,
    ),
    "fd001": Protocol(
        "cmapss", _SOURCES["cmapss"], "FD001 test (simulated): RMSE in cycles", "11 to 13", "11.8", _fd001, _cmapss_row
    ),
    "fd003": Protocol(
        "cmapss",
        _SOURCES["cmapss"],
        "FD003 (simulated), a fifth of its train units left out, three cuts: RMSE",
        "9.6 to 14 (its test)",
        "11; coverage 0.85 to 0.96",
        _fd003,
        _cmapss_row,
    ),
    "cwru": Protocol(
        "cwru",
        _SOURCES["cwru"],
        f"a fault size left out: {_RIG}",
        "physics 47 of 60",
        "0.65, 0 accused",
        _rigs,
        _rigs_row,
    ),
    "hit_sm": Protocol(
        "hit_sm", _SOURCES["hit_sm"], f"a severity, a speed left out: {_RIG}", "-", "1.00, 0 accused", _rigs, _rigs_row
    ),
    "mfpt": Protocol("mfpt", _SOURCES["mfpt"], f"a load left out: {_RIG}", "-", "10 of 10", _rigs, _rigs_row),
    "pronostia": Protocol(
        "pronostia",
        _SOURCES["pronostia"],
        "one bearing left out: remaining life at cuts, alarms",
        "-",
        "MAE below 2,111 s; alarms 3 in time, 0 early, at most 1 missed",
        _pronostia,
        _pronostia_row,
    ),
}
