"""The model card: what the model is for, how good it is beside saying nothing clever, and where it must not be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.networks.condition import SHOWS
from training.bounds import median_interval
from training.card_parts import Metric, header, made, share
from training.dataset import Dataset
from training.prognosis.evaluate import Judged
from training.prognosis.pipeline import Trained

_HOW_CHOSEN = """Figures of one seed; another moves each by some percent. The network's structure and settings were
chosen with a look at six public bearings (`training/LOG.md` counts the attempts): on recordings of those the figures
flatter.
"""
_LIMITS = """## Limits of use

- It was made for machines of the class `{machine_class}` that are measured as those above were: the same kind of
  sensor at the same place, at steady speed and load. A change of speed or load can look like wear.
- Degradation up to 0.5 is the deviation from the healthy start, and 0.5 is where damage shows. Above, a network says
  how alike the machine is to the ends of lives that ended in a failure, not how deep a crack is.
- A machine that has not moved from its healthy start gets no estimate of its remaining life (`no_trend`). One that
  has, but shows no damage, is answered as any machine between {low:.0%} and {high:.0%} of its life, in shares of the
  age since its first window: wide, and too short for one that is young or was not new then. Once the deviation from its
  healthy start reaches {shows:g}, its remaining life follows from how far it deviates.
- The intervals are {coverage}.
- It adds to each machine's own baseline alarm and never replaces it. No safety function may depend on it.
"""


def write_card(name: str, machine_class: str, dataset: Dataset, trained: Trained, *, simulated: bool) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e, configuration = trained.evaluation, trained.lineage.configuration
    low, high = configuration["prior_shares"]
    parts = [
        header(name, trained, task="remaining-useful-life", tags=("rotating-machinery",), metrics=_metrics(e)),
        f"# {name}\n",
        _origin(machine_class, dataset, simulated=simulated),
        "## Figures, beside their floors\n",
        _HOW_CHOSEN,
        f"Protocol: {e['protocol']}.\n",
        _figures(e),
        _verdict(e),
        _leak(e),
        "### Machine by machine\n",
        _by_machine(e["by_machine"]),
        "### What it said at the cuts\n",
        _said(trained.judged),
        _alarms(trained),
        _LIMITS.format(machine_class=machine_class, low=low, high=high, shows=SHOWS, coverage=trained.coverage),
        made(trained),
    ]
    return "\n".join(parts)


def _origin(machine_class: str, dataset: Dataset, *, simulated: bool) -> str:
    said = "**Simulated**: it learned from the simulator's machines, not from real ones.\n\n" if simulated else ""
    windows = sum(len(life.age_s) for life in dataset.lives)
    text = (
        f"{said}Condition of one machine of the class `{machine_class}` -> degradation (0 as new, 1 failed) and "
        f"remaining life in seconds (5, 50 and 95 % quantiles).\n\n"
        f"It learned from {windows} windows of {len(dataset.lives)} lives that ended in a failure: "
        f"{', '.join(dataset.machines)}.\n"
    )
    left_out = "".join(f"- {reason}\n" for reason in dataset.left_out)
    return text + (f"\nNot used:\n\n{left_out}" if left_out else "")


def _metrics(evaluation: Mapping[str, Any]) -> list[Metric]:
    names = {"rul_mae_s": "MAE, seconds", "rul_winkler_s": "Interval score, seconds", "rul_coverage": "Coverage"}
    return [Metric(key, name, evaluation[key]["ours"]) for key, name in names.items()]


def _figures(evaluation: Mapping[str, Any]) -> str:
    rows = [
        ("MAE of the median, s", "rul_mae_s", "{:.0f}"),
        ("interval score p05..p95, s", "rul_winkler_s", "{:.0f}"),
        ("coverage of p05..p95", "rul_coverage", "{:.0%}"),
    ]
    lines = [
        "| remaining life | this model | best constant | k x age |",
        "| --- | --- | --- | --- |",
    ]
    for label, key, form in rows:
        cells = [form.format(evaluation[key][n]) for n in ("ours", "constant", "k_x_age")]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    error, alone = evaluation["degradation_mse"], evaluation["network_alone_mse"]
    leaking = evaluation["leaking_split"]["network_alone_mse"]
    nulls = f"No estimate at {evaluation['rul_nulls']:.0%} of the cuts"
    lines += [
        f"\n{nulls}; it is scored as 0.3 x age, from 0.1 to 1.0 x age.\n",
        "| squared error of degradation | on machines left out | best constant | leaking split |",
        "| --- | --- | --- | --- |",
        f"| this model | {error['ours']:.4f} | {error['constant']:.4f} | |",
        f"| its network alone, without physics | {alone['ours']:.4f} | {alone['constant']:.4f} | {leaking:.4f} |",
    ]
    lines += ["", "| first alarm | this model | RMS rule |", "| --- | --- | --- |"]
    for label in ("in_time", "early", "late", "missed"):
        cell = evaluation[f"alarms_{label}"]
        lines.append(f"| {label.replace('_', ' ')} | {cell['ours']} | {cell['rms_rule']} |")
    return "\n".join(lines) + "\n"


def _verdict(evaluation: Mapping[str, Any]) -> str:
    """Say in words where the model is no better than its floor: a card that hides it is an advertisement."""
    worse = []
    for key, name in (("rul_mae_s", "the error of the median"), ("rul_winkler_s", "the interval score")):
        floor = min(evaluation[key]["constant"], evaluation[key]["k_x_age"])
        if evaluation[key]["ours"] >= floor:
            worse.append(f"{name} is no better than the best floor ({floor:.0f} s)")
    if evaluation["degradation_mse"]["ours"] >= evaluation["degradation_mse"]["constant"]:
        worse.append("the error of degradation is no better than a constant's")
    if evaluation["alarms_in_time"]["ours"] <= evaluation["alarms_in_time"]["rms_rule"]:
        worse.append("no more alarms come in time than by the RMS rule")
    return ("Read this first: " + "; ".join(worse) + ".\n") if worse else ""


def _leak(evaluation: Mapping[str, Any]) -> str:
    ours, leaking = evaluation["network_alone_mse"]["ours"], evaluation["leaking_split"]["network_alone_mse"]
    factor = f"{ours / leaking:.1f} times smaller" if 0 < leaking < ours else "no smaller"
    return (
        "The leaking split is what the same network would seem to be worth if windows of one machine were "
        f"on both sides of a random split: an error {factor}. Many published figures are of that kind; it says nothing "
        "about a machine that was not seen, and the registry refuses it. Where damage shows is decided by physics, and "
        "remaining life rests on a few numbers: they leak little.\n"
    )


def _by_machine(lines: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "| machine | life, s | MAE, s | interval score, s | k x age's | cuts inside p05..p95 | no estimate | "
        "first alarm, share of life |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    rows = []
    for x in lines:
        alarm = x["first_alarm_share"]["ours"]
        cells = (
            *(x["mae_s"]["ours"], x["winkler_s"]["ours"], x["winkler_s"]["k_x_age"], share(*x["covered"])),
            *(f"{x['nulls']} of {x['covered'][1]}", "none" if alarm is None else alarm),
        )
        rows.append(f"| {x['machine']} | {x['life_s']:.0f} | " + " | ".join(str(c) for c in cells) + " |\n")
    whole: dict[str, bool] = {}
    for x in lines:
        inside, cuts = x["covered"]
        whole[x["machine"]] = whole.get(x["machine"], True) and inside == cuts
    return (
        head + "".join(rows) + "\nCuts of one machine stand or fall together; machines do not. Machines with every cut "
        f"inside: {share(sum(whole.values()), len(whole))}. {_gain(lines)}\n"
    )


def _gain(lines: Sequence[Mapping[str, Any]]) -> str:
    """The interval score beside k x age's, machine by machine, with what is known of the median machine."""
    ratios: dict[str, list[float]] = {}
    for x in lines:
        ratios.setdefault(x["machine"], []).append(x["winkler_s"]["ours"] / max(x["winkler_s"]["k_x_age"], 1e-9))
    means = [float(np.mean(values)) for values in ratios.values()]
    known = median_interval(means)
    bounds = f"95 %: {known[0]:.2f} to {known[1]:.2f}" if known else f"{len(means)} machines are too few for bounds"
    return f"Interval score in units of k x age's, of the median machine: {np.median(means):.2f} ({bounds})."


def _said(judged: Sequence[Judged]) -> str:
    """The plot as a table: a card is text, and travels inside the bundle."""
    lines = ["| machine | true, s | p05, s | p50, s | p95, s | |", "| --- | --- | --- | --- | --- | --- |"]
    for item in judged:
        for truth, (low, middle, high) in zip(item.truth, item.said["ours"], strict=True):
            where = "" if low <= truth <= high else "outside"
            lines.append(f"| {item.life.machine} | {truth:.0f} | {low:.0f} | {middle:.0f} | {high:.0f} | {where} |")
    return "\n".join(lines) + "\n"


def _healthy(evaluation: Mapping[str, Any]) -> str:
    if "alarms_on_healthy" not in evaluation:
        return ""
    found, of = evaluation["alarms_on_healthy"], evaluation["healthy_stretches"]
    return (
        f"Crews found nothing in {of} stretches of other lives: a warning there is false, too. By limits that were "
        f"chosen without the machine {found['ours']} of them got one, by the RMS rule {found['rms_rule']}.\n"
    )


def _alarms(trained: Trained) -> str:
    t, c, e = trained.thresholds, trained.lineage.configuration, trained.evaluation
    upper = 3.0 / max(e["healthy_hours"], 1e-9)
    return (
        f"## Alarm limits\n\nWarn at {t.warn:.2f}, act at {t.act:.2f}, after {t.on_delay_windows} windows. The rule: "
        f"{c['early_budget']:.0%} of the left-out machines (between two: linear) may be warned about before "
        f"{c['early_share']:.0%} of their life, or told to act before {c['act_share']:.0%}; a margin of "
        f"{c['threshold_margin']} comes on top. {_healthy(e)}\n"
        f"The healthy part of these lives is {e['healthy_hours']} hours: even without any false alarm in it, no rate "
        f"below {upper:.2g} an hour could be shown (Poisson, 95 %).\n"
    )
