"""What a sweep found, for people (Markdown, a picture) and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.sweep.search import STAGES, Task, Trial, choose
from training.sweep.space import changed

Figures = Mapping[str, Any]  # `training.prognosis.evaluate.summarise`
_KINDS = ("in_time", "early", "late", "missed")  # of first alarms


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that has ended."""

    task: Task
    trials: Sequence[Trial]
    held_back: Sequence[str]
    unseen: Figures  # of the chosen setting, on the machines held back
    before: Figures  # of the settings as they are, on the same

    @property
    def best(self) -> Trial:
        """The trial that was chosen."""
        return choose(self.trials)

    @property
    def settings(self) -> dict[str, Any]:
        """What the chosen candidate changes."""
        return changed(self.task.candidates[self.best.number], self.task.candidates[0])


def figures(sweep: Sweep) -> dict[str, Any]:
    """The sweep as JSON; it follows from the data, the space and the seed alone."""
    base = sweep.task.candidates[0]
    return {
        "sweep": sweep.task.digest,
        "chosen_on": list(sweep.task.dataset.machines),
        "judged_on": list(sweep.held_back),
        "best": sweep.best.number,
        "settings": sweep.settings,
        "unseen": {"chosen": _told(sweep.unseen), "as_they_are": _told(sweep.before)},
        "candidates": [
            {
                "number": t.number,
                "settings": changed(sweep.task.candidates[t.number], base),
                "objectives": [round(x, 6) for x in t.objectives],
                "finished": t.finished,
            }
            for t in sweep.trials
        ],
    }


def markdown(sweep: Sweep, picture: str) -> str:
    """The report; `picture` is the name of the image beside it."""
    best, base, count = sweep.best, sweep.trials[0], len(sweep.trials)
    lines = [
        "# Sweep of training settings",
        "",
        f"{count} candidates, chosen on {len(sweep.task.dataset.machines)} machines "
        f"({', '.join(sweep.task.dataset.machines)}), each of them left out in turn. The score is the squared "
        "error of degradation in units of a constant's, in the last stage the mean of it and of the share of machines "
        "that were not warned in time: below 1 is better. Remaining life does not depend on these settings.",
        "",
        f"Chosen: candidate {best.number} with {_settings(sweep.settings)}: {_beside(best, base)} **That difference "
        f"flatters**: it is the best of {count} on the machines that it was chosen on.",
        "",
        f"## On machines that it was not chosen on ({', '.join(sweep.held_back)})",
        "",
        *_unseen(sweep),
        "",
        _verdict(sweep),
        "",
        f"![Scores by candidate and stage]({picture})",
        "",
        "## Candidates",
        "",
        "| candidate | changes | " + " | ".join(f"stage {n}" for n in range(1, STAGES + 1)) + " |",
        "| --- | --- |" + " --- |" * STAGES,
    ]
    for t in sorted(sweep.trials, key=lambda t: (-len(t.objectives), t.objectives[-1])):
        changes = _settings(changed(sweep.task.candidates[t.number], sweep.task.candidates[0]))
        cells = [f"{x:.3f}" for x in t.objectives] + ["ended"] * (STAGES - len(t.objectives))
        lines.append(f"| {t.number} | {changes} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _beside(best: Trial, base: Trial) -> str:
    """Both scores of the last stage that both reached: scores of two stages are two measures."""
    stage = len(base.objectives)
    ours, theirs = best.objectives[stage - 1], base.objectives[-1]
    ended = "" if base.finished else f" in stage {stage}, where these ended"
    return f"{ours:.3f} where the settings as they are have {theirs:.3f}{ended}."


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in settings.items()) or "the settings as they are"


def _told(figures: Figures) -> dict[str, Any]:
    return {k: figures[k] for k in ("degradation_mse", *(f"alarms_{kind}" for kind in _KINDS))}


def _unseen(sweep: Sweep) -> list[str]:
    def alarms(figures: Figures, who: str) -> str:
        return ", ".join(f"{figures[f'alarms_{kind}'][who]} {kind.replace('_', ' ')}" for kind in _KINDS)

    rows = [
        ("chosen settings", sweep.unseen["degradation_mse"]["ours"], alarms(sweep.unseen, "ours")),
        ("settings as they are", sweep.before["degradation_mse"]["ours"], alarms(sweep.before, "ours")),
        ("best constant; RMS rule", sweep.unseen["degradation_mse"]["constant"], alarms(sweep.unseen, "rms_rule")),
    ]
    head = ["| | squared error of degradation | first alarms |", "| --- | --- | --- |"]
    return head + [f"| {name} | {error:.4f} | {said} |" for name, error, said in rows]


def _verdict(sweep: Sweep) -> str:
    if sweep.best.number == 0:
        return "No candidate was better than the settings as they are: keep them."
    error, alarms = ((sweep.unseen[k]["ours"], sweep.before[k]["ours"]) for k in ("degradation_mse", "alarms_in_time"))
    better = (error[0] < error[1]) + (alarms[0] > alarms[1])
    said = {0: "no better", 1: "better in one of two figures", 2: "better in both figures"}[better]
    machines = len(sweep.held_back)
    few = f" {machines} machine{'s' * (machines != 1)} prove{'s' * (machines == 1)} little." if machines < 10 else ""
    return f"On machines that it was not chosen on, the chosen setting is {said} than the settings as they are.{few}"


def toml(sweep: Sweep) -> str:
    """The chosen settings as `forewarn train --config` reads them."""
    return "# found by `forewarn sweep`\n" + "".join(f"{n} = {v}\n" for n, v in sweep.settings.items())


def plot(sweep: Sweep, file: Path) -> None:
    """Write an image of every candidate's score by stage."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only plots need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for t in sweep.trials:
        stages = range(1, len(t.objectives) + 1)
        shown: dict[str, Any] = {"color": "#9aa7b4", "linewidth": 1.0, "zorder": 1}
        if t.number == 0:
            shown = {"color": "black", "linewidth": 2.0, "zorder": 3, "label": "settings as they are"}
        if t.number == sweep.best.number:
            shown = {"color": "#1b7f3b", "linewidth": 2.5, "zorder": 4, "label": f"chosen: candidate {t.number}"}
        axes.plot(stages, t.objectives, marker="o", **shown)
    axes.axhline(1.0, color="#c0392b", linestyle="--", linewidth=1, label="a constant that never warns")
    axes.set_xticks(range(1, STAGES + 1), ["half of the machines", "all machines", "nested: as the product judges"])
    axes.set_ylabel("error of degradation and alarms not in time")
    axes.set_title(f"{len(sweep.trials)} candidates; a line that ends early was ended")
    axes.legend()
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else None)
