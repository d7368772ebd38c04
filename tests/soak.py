"""`python -m tests.soak`: rounds of SIGKILL and cut links on real processes, and a history that must hold.

Agents and gateways are the commands that a plant runs. In each round something is done to them at a moment that the
seed chose, and it ends when every device has been told of more that is stored. Every few rounds, and at the end, every
record that a device was told is stored must be in the lake, and nothing may be there twice: what is lost or doubled
stays so, and is found. At the end all is delivered, and the set stored must be the set produced.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud.wiring import open_cloud
from tests.faults.history import Memory, in_cloud, remembered, violations
from tests.faults.proxy import FaultProxy
from tests.warm import Command

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "soak.json"
LONGEST_WAIT_S = 60.0
CHECK_EVERY = 5  # rounds
# So little credit that a raw snapshot travels in parts, on any link.
CLOUD = "segment_seconds = 0.02\ncompact_seconds = 1\ncredit_bytes = 3000\n"


class Agent:
    """`forewarn edge run` on a simulated machine, with a store that outlives it."""

    def __init__(self, folder: Path, name: str, addresses: list[str], seed: int) -> None:
        self.name = name
        self._folder = folder / name
        (self._folder / "store").mkdir(parents=True)
        self.file = self._folder / "store" / "outbox.sqlite"
        self._config = self._folder / "site.toml"
        self._config.write_text(
            f"""device = "{name}"
store = "store"
gateways = {json.dumps(addresses)}
stop_seconds = {LONGEST_WAIT_S}
uplink = {{ longest_retry_seconds = 0.05, welcome_seconds = 1.0, alert_seconds = 1.0, stored_seconds = 2.0 }}
records = {{ snapshot_every_hours = 0.0003 }}
[[machine]]
name = "P-{name}"
source = {{ kind = "simulator", fault = "outer_race", seed = {seed}, every_seconds = 0.1, life_seconds = 1000000 }}
"""
        )
        self.start()

    def start(self) -> None:
        self._process = Command(self._folder / "log.txt", "edge", "run", "--config", str(self._config))

    def kill(self) -> None:
        self._process.close()

    def stop(self) -> int | None:
        """Ask it to end; it delivers what it has first."""
        return self._process.stop(within_s=1.5 * LONGEST_WAIT_S)

    def memory(self) -> Memory:
        return remembered(self.name, self.file)


class Gateway:
    """`forewarn cloud serve --no-page` on an address that outlives it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.address = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        options = ("--data", str(self._data), "--gateway", self.address, "--no-page")
        self._process = Command(self._data / "gateway.log", "cloud", "serve", *options)
        self.address = json.loads(self._process.line())["gateway"]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        self._process.close()

    close = kill


class World:
    """Agents, gateways over one folder, and a link between each agent and each gateway."""

    def __init__(self, folder: Path, *, agents: int, gateways: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.data = folder / "cloud"
        self.data.mkdir(parents=True)
        (self.data / "cloud.toml").write_text(CLOUD)
        self.gateways = [Gateway(self.data) for _ in range(gateways)]
        self.links = [FaultProxy(g.port) for g in self.gateways]
        self.agents = []
        for n in range(agents):
            addresses = [link.address for link in self.links]
            self.rng.shuffle(addresses)
            self.agents.append(Agent(folder, f"edge-{n}", addresses, seed + n))
        self.faults: Counter[str] = Counter()
        self.until(lambda: all(a.file.exists() and self._forgot(a) for a in self.agents))

    @staticmethod
    def _forgot(agent: Agent) -> int:
        try:
            return len(agent.memory().forgotten)
        except (sqlite3.OperationalError, KeyError):  # the file is being made
            return 0

    @staticmethod
    def until(done: Callable[[], bool]) -> None:
        """Poll; AssertionError at the deadline."""
        deadline = time.monotonic() + LONGEST_WAIT_S
        while not done():
            assert time.monotonic() < deadline, "nothing moves any more"
            time.sleep(0.005)

    def round(self) -> None:
        """One fault, its end, and some progress of every device."""
        time.sleep(self.rng.random() * 0.15)  # not to wait for anything: the fault shall hit any point
        fault = self.rng.choice(
            [self.kill_agent, self.kill_gateway, self.kill_all, self.reset, self.hold, self.lose, self.truncate]
        )
        self.faults[fault.__name__] += 1
        fault()
        before = {a.name: self._forgot(a) for a in self.agents}
        self.until(lambda: all(self._forgot(a) > before[a.name] for a in self.agents))

    def judge(self, *, at_rest: bool = False) -> list[str]:
        """What is wrong with the history."""
        memories = {a.name: a.memory() for a in self.agents}
        cloud = open_cloud(self.data)
        try:
            return violations(memories, in_cloud(cloud), at_rest=at_rest)
        finally:
            cloud.close()

    # --- faults ---------------------------------------------------------------------------------------------------

    def kill_agent(self) -> None:
        agent = self.rng.choice(self.agents)
        agent.kill()
        agent.start()

    def kill_gateway(self) -> None:
        gateway = self.rng.choice(self.gateways)
        gateway.kill()
        gateway.start()

    def kill_all(self) -> None:
        """Everything at once, as a power cut of the whole plant."""
        everything: list[Agent | Gateway] = [*self.agents, *self.gateways]
        for one in self.rng.sample(everything, len(everything)):
            one.kill()
        for one in everything:
            one.start()

    def reset(self) -> None:
        """Links break, a few times."""
        for _ in range(self.rng.randrange(1, 5)):
            self.rng.choice(self.links).reset()
            time.sleep(self.rng.random() * 0.05)

    def hold(self) -> None:
        """A link holds everything back, then lets it pass late, or breaks with what it held."""
        link = self.rng.choice(self.links)
        link.half_open()
        time.sleep(self.rng.random() * 0.3)
        if self.rng.random() < 0.5:
            link.reset()
        link.heal()

    def lose(self) -> None:
        """A link swallows what passes, then breaks."""
        link = self.rng.choice(self.links)
        link.dropping = True
        time.sleep(self.rng.random() * 0.3)
        link.reset()
        link.heal()

    def truncate(self) -> None:
        """Links break in the middle of a message."""
        for link in self.links:
            link.truncate_after = self.rng.randrange(1, 1000)

    def rest(self) -> list[str]:
        """Deliver everything; what is wrong at the end."""
        for link in self.links:
            link.truncate_after = None
        codes = [agent.stop() for agent in self.agents]
        left = {a.name: len(a.memory().kept) for a in self.agents if a.memory().kept}
        wrong = [f"agents ended with {codes}"] if any(codes) else []
        wrong += [f"{name} still keeps {n} records" for name, n in left.items()]
        return wrong + self.judge(at_rest=True)

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
        for link in self.links:
            link.close()
        for gateway in self.gateways:
            gateway.kill()


def soak(folder: Path, *, rounds: int, agents: int, gateways: int, seed: int) -> dict[str, Any]:
    """Run until the rounds are over or something is wrong; what was done and what was found."""
    begin = time.monotonic()
    world = World(folder, agents=agents, gateways=gateways, seed=seed)
    wrong: list[str] = []
    done = 0
    try:
        while done < rounds and not wrong:
            world.round()
            done += 1
            wrong = [] if done % CHECK_EVERY else world.judge()
        wrong = wrong or world.rest()
        records = sum(len(a.memory().used) for a in world.agents)
    finally:
        world.close()
    return {
        "seed": seed,
        "agents": agents,
        "gateways": gateways,
        "rounds": done,
        "faults": dict(sorted(world.faults.items())),
        "records": records,
        "violations": wrong[:20],
        "seconds": round(time.monotonic() - begin, 1),
    }


def main() -> int:
    """Run worlds with one and two gateways by turns; 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="in all")
    parser.add_argument("--each", type=int, default=50, help="rounds before a new world begins")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    worlds: list[dict[str, Any]] = []
    while sum(w["rounds"] for w in worlds) < chosen.rounds:
        left = chosen.rounds - sum(w["rounds"] for w in worlds)
        with tempfile.TemporaryDirectory() as folder:
            n = len(worlds)
            worlds.append(
                soak(
                    Path(folder),
                    rounds=min(left, chosen.each),
                    agents=2,
                    gateways=2 - n % 2,
                    seed=chosen.seed + 100 * n,
                )
            )
        sys.stdout.write(json.dumps(worlds[-1]) + "\n")
        sys.stdout.flush()
        total = _total(worlds)
        chosen.results.write_text(json.dumps(total, indent=2) + "\n")
        if total["violations"]:
            return 1
    return 0


def _total(worlds: list[dict[str, Any]]) -> dict[str, Any]:
    rounds = sum(w["rounds"] for w in worlds)
    return {
        "part": "soak",
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "rounds_a_minute": round(60 * rounds / sum(w["seconds"] for w in worlds), 1),
        "faults": dict(sorted(sum((Counter(w["faults"]) for w in worlds), Counter()).items())),
        "records": sum(w["records"] for w in worlds),
        "violations": sum(len(w["violations"]) for w in worlds),
        "worlds": worlds,
    }


if __name__ == "__main__":
    sys.exit(main())
