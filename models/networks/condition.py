"""Condition vector to degradation and remaining life, small enough for any device (about 14,000 parameters).

* Degradation is what the vibration says: the age does not enter it, so a machine never alarms for being old.
* Remaining life is scale-free: the network answers in shares of the age so far. A handful of lives cannot tell how
  long the next machine lives, and a rule learned in hours must not be absurd on a machine that runs for years.
* A machine that shows no wear is answered as any machine of its age (the prior); the more wear shows, the more the
  network is trusted.
* Quantiles are the median less and plus steps that are never negative, so they cannot cross.
* All that a device would otherwise have to know (scaler, trust, widening) is inside the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

UNIT_S = 60.0  # the ratio that is learned: log((RUL + UNIT_S) / (age + UNIT_S)), finite at both ends of a life
QUANTILES = (0.05, 0.5, 0.95)
_LARGEST = 3.0  # scaled inputs beyond are cut: what training never saw must not be extrapolated
_LARGEST_RATIO = 7.0  # of the log ratio: e^7 = 1,100 times the age
_ONE = 0.5413  # softplus of this is 1


class ConditionNetwork(nn.Module):
    """condition (N, D), whose last column is log(1 + age in hours) -> degradation (N,), rul_s (N, 3): p05, p50, p95."""

    location: Tensor
    scale: Tensor
    prior: Tensor
    trust: Tensor
    widening: Tensor

    def __init__(self, inputs: int, *, dropout: float = 0.0, width: int = 104) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(inputs - 1))
        self.register_buffer("scale", torch.ones(inputs - 1))
        self.register_buffer("prior", torch.tensor([-1.0, 0.0, 1.0]))  # log ratios of a machine we know nothing of
        self.register_buffer("trust", torch.ones(1))  # in the network where nothing is worn; the rest is the prior's
        self.register_buffer("widening", torch.zeros(3))  # added to the log ratios: down, nothing, up
        half = width * 2 // 3
        self.trunk = nn.Sequential(
            nn.Linear(inputs - 1, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, half), nn.Tanh()
        )
        self.dropout = nn.Dropout(dropout)
        self.wear = nn.Linear(half, 1)
        self.life = nn.Sequential(nn.Linear(half, half // 2), nn.Tanh(), nn.Linear(half // 2, 3))
        last = self.life[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)  # learning starts at the prior
        nn.init.zeros_(last.bias)

    def ratios(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) -> degradation as logit (N,), log ratios of remaining life to age (N, 3): what the losses are of."""
        x = torch.clamp((condition[:, :-1] - self.location) / self.scale, -_LARGEST, _LARGEST)
        seen = self.dropout(self.trunk(x))
        parts = self.life(seen)
        down, up = nn.functional.softplus(parts[:, :1] + _ONE), nn.functional.softplus(parts[:, 2:] + _ONE)
        median = self.prior[1] + parts[:, 1:2]
        low = median - down * (self.prior[1] - self.prior[0])
        high = median + up * (self.prior[2] - self.prior[1])
        return self.wear(seen).squeeze(1), torch.cat([low, median, high], dim=1)

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) -> degradation (N,) 0 .. 1, rul_s (N, 3) in seconds."""
        wear, ratios = self.ratios(condition)
        degradation = torch.sigmoid(wear)
        trust = (self.trust + (1.0 - self.trust) * degradation).unsqueeze(1)
        ratios = self.prior + trust * (ratios - self.prior) + self.widening
        age = (torch.exp(condition[:, -1:]) - 1.0) * 3600.0 + UNIT_S
        rul = age * torch.exp(torch.clamp(ratios, -_LARGEST_RATIO, _LARGEST_RATIO)) - UNIT_S
        return degradation, torch.relu(rul)
