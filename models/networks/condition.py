"""Condition vector to degradation and remaining life, small enough for any device (about 11,000 parameters).

* Physics decides whether damage shows: the severity is the larger of two deviations from the machine's own healthy
  start, as in the alarm that needs no model. A network says only how alike a machine that shows damage is to the ends
  of lives: rules tuned on few lives fail on the next machine.
* Degradation is what the vibration says: up to 0.5 by physics alone, reached where damage shows, the rest by the
  network. The age does not enter it, so a machine never alarms for being old.
* Remaining life is told in shares of the age so far. A handful of lives cannot tell how long the next machine lives,
  and a rule learned in hours must not be absurd on a machine that runs for years. A machine that has moved, but shows
  no damage, is answered as any machine of its age (the prior); damage shortens that along a line in the log of the
  severity, which never rises and stays below the prior. Quantiles cannot cross.
* A machine that has not moved beyond what healthy ones do from day to day shows no trend: `trend` below 1 means that
  there is no estimate.
* All that a device would otherwise have to know (scaler, prior, line, widening) is inside the graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

UNIT_S = 60.0  # lives are told as log((RUL + UNIT_S) / (age + UNIT_S)), finite at both ends of a life
QUANTILES = (0.05, 0.5, 0.95)
MOVES = 2.0  # severity: beyond what a healthy machine does on 19 of 20 days
SHOWS = 5.11  # severity: the deviation at which a machine of two channels raises an alarm once a year by chance
MOST_STEPS = 2.0  # of the log of severity over SHOWS; beyond, the line is not followed
LEVEL_STEP = math.log(4.5 / 0.71) / 5.0  # from the best to the worst zone of ISO 10816-1 class I in five steps
_STEEPNESS = 4.0  # of the passage from the prior to the line, about SHOWS
_LARGEST = 3.0  # scaled inputs beyond are cut: what training never saw must not be extrapolated
_LARGEST_RATIO = 7.0  # of the log ratio: e^7 = 1,100 times the age
_LARGEST_TREND = 10.0
_ABSENT = 1e6


class ConditionNetwork(nn.Module):
    """condition (N, D), D = 3 F + 1 as `History` makes it -> degradation (N,), rul_s (N, 3): p05, p50, p95; trend (N,).

    All but the network's weights are buffers, set by `training.prognosis.physics` and `training.prognosis.calibrate`.
    """

    location: Tensor
    scale: Tensor
    agreeing: Tensor
    level: Tensor
    spread: Tensor
    prior: Tensor
    line: Tensor
    slope: Tensor
    widening: Tensor

    def __init__(self, inputs: int, *, dropout: float = 0.0, width: int = 104) -> None:
        super().__init__()
        features = (inputs - 1) // 3
        self.register_buffer("location", torch.zeros(inputs - 1))
        self.register_buffer("scale", torch.ones(inputs - 1))
        self.register_buffer("agreeing", torch.ones(features))  # 1: the feature has a say in the agreement
        self.register_buffer("level", torch.zeros(features))  # 1: the feature is a level of the vibration
        self.register_buffer("spread", torch.full((features,), 0.1))  # of a healthy machine, from day to day
        self.register_buffer("prior", torch.tensor([-1.0, 0.0, 1.0]))  # log ratios of a machine we know nothing of
        self.register_buffer("line", torch.tensor([-1.0, 0.0, 1.0]))  # log ratios where damage begins to show
        self.register_buffer("slope", torch.zeros(1))  # of the log ratio by the log of the severity, at most 0
        self.register_buffer("widening", torch.zeros(3))  # added to the log ratios: down, nothing, up
        half = width * 2 // 3
        self.trunk = nn.Sequential(
            nn.Linear(inputs - 1, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, half), nn.Tanh()
        )
        self.wear = nn.Sequential(nn.Dropout(dropout), nn.Linear(half, 1))

    def severity(self, condition: Tensor) -> Tensor:
        """(N, D) -> (N,): the larger of the agreement (median over features) and the level, in spreads.

        The median is the least value that at least half of the features do not exceed.
        """
        moved = condition[:, : self.spread.shape[0]]
        z = moved / self.spread
        below = (z.unsqueeze(1) <= z.unsqueeze(2)).float() * self.agreeing
        enough = (below.sum(dim=2) * 2.0 >= self.agreeing.sum()).float() * self.agreeing
        agreement = (z * enough + _ABSENT * (1.0 - enough)).amin(dim=1)
        level = (moved * self.level).amax(dim=1) / LEVEL_STEP
        return torch.maximum(agreement, level)

    def wear_logit(self, condition: Tensor) -> Tensor:
        """(N, D) -> (N,): how alike it is to the ends of lives, as a logit, before physics is asked."""
        x = torch.clamp((condition[:, :-1] - self.location) / self.scale, -_LARGEST, _LARGEST)
        return self.wear(self.trunk(x)).squeeze(1)  # type: ignore[no-any-return]  # torch's modules are untyped

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, D) -> degradation (N,) 0 .. 1, rul_s (N, 3) in seconds, trend (N,) from 0 on."""
        severity = self.severity(condition)
        alike = torch.sigmoid(self.wear_logit(condition)) * torch.clamp(severity - SHOWS, 0.0, 1.0)
        degradation = (torch.clamp(severity / SHOWS, 0.0, 1.0) + alike) / 2.0
        shows = torch.sigmoid(_STEEPNESS * (severity - SHOWS))
        steps = torch.log(torch.clamp(severity / SHOWS, 1.0, math.exp(MOST_STEPS))).unsqueeze(1)
        told = torch.minimum(self.line + self.slope * steps, self.prior)
        ratios = self.prior + shows.unsqueeze(1) * (told - self.prior) + self.widening
        age = (torch.exp(condition[:, -1:]) - 1.0) * 3600.0 + UNIT_S
        rul = age * torch.exp(torch.clamp(ratios, -_LARGEST_RATIO, _LARGEST_RATIO)) - UNIT_S
        return degradation, torch.relu(rul), torch.clamp(severity / MOVES, 0.0, _LARGEST_TREND)
