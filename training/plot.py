"""A picture of predicted against true remaining life: whether the intervals hold shows faster than in a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.model import Answered

_HOUR_S = 3600.0
_NAMED = 12  # machines that a legend can tell apart


def plot_rul(answers: Sequence[Answered], file: Path) -> None:
    """Write an image (its kind by the file's suffix) of every left-out cut: median with p05..p95, hours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only plots need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    longest, many = 0.0, len(answers) > _NAMED
    for answered in answers:
        said, truth = answered.rul_s / _HOUR_S, answered.truth_s / _HOUR_S
        longest = max(longest, float(truth.max(initial=0.0)))
        ends = (said[:, 1] - said[:, 0], said[:, 2] - said[:, 1])
        look: dict[str, Any] = (
            {"color": "tab:blue", "alpha": 0.3} if many else {"label": answered.machine, "capsize": 3}
        )
        axes.errorbar(truth, said[:, 1], yerr=ends, fmt="o", **look)
    axes.plot([0, longest], [0, longest], color="black", linewidth=1, label="exact")
    axes.set_xlabel("true remaining life, hours")
    axes.set_ylabel("predicted: median, 5 % to 95 %, hours")
    axes.set_title("Each machine judged by a model that never saw it")
    axes.legend()
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else None)
