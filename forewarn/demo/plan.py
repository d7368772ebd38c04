"""Which machines the demo plays, and which it holds back until a model has been promoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.sensors.replay import find_recordings
from models.errors import DataInsufficient, RecordingRejected

SIMULATED_FAULTS = ("inner_race", "unbalance", "outer_race", "misalignment", "ball", "looseness")
HELD_BACK = 2
HEALTHY = "F-201"
SITE = """\
device = "{name}"

[[machine]]
name = "{name}"
class = "bearing"
line = "Hall 2"
source = {{ kind = "simulator", fault = "{fault}", seed = {seed}, speed = {speed} }}
"""


@dataclass(frozen=True, slots=True)
class Player:
    """One agent: the machine it plays and how it is started."""

    machine: str
    held_back: bool
    endless: bool  # a healthy machine that runs for as long as somebody looks; nothing is counted on it
    arguments: tuple[str, ...]  # of `forewarn edge`, without the addresses that are known only later


@dataclass(frozen=True, slots=True)
class Plan:
    """All agents of a demo."""

    players: tuple[Player, ...]
    machine_class: str
    simulated: bool
    rejected: tuple[RecordingRejected, ...] = ()

    @property
    def training(self) -> tuple[Player, ...]:
        """The agents whose machines fail while the model is not there yet."""
        return tuple(p for p in self.players if not p.held_back and not p.endless)

    @property
    def endless(self) -> tuple[Player, ...]:
        """The agents that keep the page live after the others have ended."""
        return tuple(p for p in self.players if p.endless)

    @property
    def held_back(self) -> tuple[Player, ...]:
        """The agents that start only after the promote: no model has seen their machines."""
        return tuple(p for p in self.players if p.held_back)


def choose_held_back(names: Sequence[str]) -> set[str]:
    """Return every third name, from the second on, at most HELD_BACK: fixed by the names, never by the results."""
    return set(sorted(names)[1::3][:HELD_BACK])


def plan_recordings(folder: Path, *, speed: float) -> Plan:
    """Plan a replay of every recording in `folder`, `speed` times as fast as it was recorded."""
    found = find_recordings([folder])
    rejected = tuple(r for r in found if isinstance(r, RecordingRejected))
    names = sorted(r.name for r in found if not isinstance(r, RecordingRejected))
    if len(names) < HELD_BACK + 3:
        raise DataInsufficient(
            f"the demo needs at least {HELD_BACK + 3} usable recordings, {len(names)} are here",
            where=str(folder),
            mend="; ".join(str(r) for r in rejected) or "point --data at a folder of run-to-failure recordings",
        )
    back = choose_held_back(names)
    players = tuple(
        Player(n, n in back, False, ("replay", str(folder), "--only", n, "--speed", f"{speed:g}")) for n in names
    )
    return Plan(players, "bearing", simulated=False, rejected=rejected)


def plan_simulation(configs: Path, *, windows_per_second: float, seed: int, endless: bool) -> Plan:
    """Plan simulated machines that fail, and with `endless` a healthy one that goes on for as long as somebody looks.

    Each gets a configuration file, as a real device would.
    """
    configs.mkdir(parents=True, exist_ok=True)
    names = {f"P-{101 + i}": fault for i, fault in enumerate(SIMULATED_FAULTS)}
    back = choose_held_back(list(names))
    if endless:
        names[HEALTHY] = "none"
    players = []
    for i, (name, fault) in enumerate(names.items()):
        file = configs / f"{name}.toml"
        file.write_text(SITE.format(name=name, fault=fault, seed=seed + i, speed=windows_per_second * 10.0))
        players.append(Player(name, name in back, fault == "none", ("run", "--config", str(file))))
    return Plan(tuple(players), "bearing", simulated=True)
