"""The legs of the loop, in order; each is a method, and nothing here does a leg's work itself.

The parts are the same commands and processes that a plant runs. The gateway is killed with SIGKILL in the middle of the
first leg, because a delivery guarantee that was not tried is a wish.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloud.wiring import open_cloud
from forewarn.demo.console import Console
from forewarn.demo.fleet import Fleet, wait_until
from forewarn.demo.ledger import reconcile, spans_ns, tally
from forewarn.demo.plan import Plan, Player, plan_recordings, plan_simulation
from forewarn.demo.processes import Processes
from forewarn.demo.report import describe, judge_held_back
from models.errors import ConfigurationError

USUAL_PAGE = ("127.0.0.1", 8080)
MARKER = ".forewarn-demo"
LEG_DEADLINE_S = 600.0
# Windows a second of each machine (10 s of its own time each): slow enough for the gateway to die in between.
WATCHABLE, HURRIED = 25.0, 150.0


def clean_folder(work: Path) -> None:
    """Empty `work` if an earlier demo made it; refuse a folder with anything else in it."""
    if work.exists() and any(work.iterdir()) and not (work / MARKER).exists():
        raise ConfigurationError(
            "holds files that no demo wrote", where=str(work), mend="give another folder with --work"
        )
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / MARKER).touch()


def usual_page() -> str:
    """Return the address that the README names, or any free port where another program has it."""
    try:
        socket.create_server(USUAL_PAGE).close()
    except OSError:
        return f"{USUAL_PAGE[0]}:0"
    return f"{USUAL_PAGE[0]}:{USUAL_PAGE[1]}"


class Story:
    """One demo from the first process to the report."""

    def __init__(self, console: Console, *, work: Path, data: Path | None, page: str, seed: int, ray: str) -> None:
        self._console = console
        self._work = work.resolve()
        self._data = data
        self._page = page
        self._seed = seed
        self._ray = ray
        self._report: dict[str, Any] = {}
        self._started: tuple[Player, ...] = ()
        self._headless = False

    def run(self, *, headless: bool, report_file: Path | None, seconds: float | None) -> None:
        """Play all legs, write the report, and stay up unless `headless`."""
        begin = time.monotonic()
        self._headless = headless
        clean_folder(self._work)
        self._cloud_data = self._work / "cloud"
        with Processes(self._work / "logs") as self._processes:
            self._play()
            self._report["seconds"] = self._console.seconds
            text = json.dumps(self._report, indent=2, default=str)
            (report_file or self._work / "report.json").write_text(text + "\n")
            if not headless:
                self._stay(None if seconds is None else seconds - (time.monotonic() - begin))

    def _play(self) -> None:
        console = self._console
        with console.leg("cloud", "gateway and pages start"):
            self._start_cloud("127.0.0.1:0", self._page)
            console.say(f"look: {self._page_address}")
        with console.leg("plan", "machines are chosen"):
            self._plan = self._make_plan()
        with console.leg("machines", f"{len(self._plan.training)} machines run to failure, one agent each"):
            self._start_agents((*self._plan.training, *self._plan.endless))
            wait_until(
                "every machine on the page",
                lambda: {p.machine for p in self._plan.training} <= self._fleet.machines(),
                deadline_s=60,
                alive=self._processes.check,
            )
            console.say("all machines are live on the page")
            self._kill_gateway()
            self._wait_until_stored(self._plan.training)
        with console.leg("lake", "every record is counted: the agents' ledgers against the lake"):
            self._reconcile()
        with console.leg("labels", "what the crew found: each of these machines failed at its end"):
            self._import_labels()
        with console.leg("training", "PyTorch on Ray, leaving one machine out in turn"):
            trained = self._train()
        with console.leg("promote", "the signed bundle goes to every agent"):
            self._start_agents(self._plan.held_back, "--wait-for-bundle")
            self._promote(trained["bundle"])
        with console.leg("held back", f"{len(self._plan.held_back)} machines that no model has seen"):
            self._wait_until_stored(self._plan.held_back)
            self._judge()
        with console.leg("count", "every record once more"):
            self._reconcile()

    # --- legs -----------------------------------------------------------------------------------------------------

    def _start_cloud(self, gateway: str, page: str) -> None:
        self._cloud_process = self._processes.start(
            "cloud", "cloud", "serve", "--data", str(self._cloud_data), "--gateway", gateway, "--page", page
        )
        ready = json.loads(self._cloud_process.first_line())
        self._gateway, self._page_address = ready["gateway"], ready["page"]
        self._cloud = open_cloud(self._cloud_data)
        self._fleet = Fleet(self._cloud.engine)

    def _make_plan(self) -> Plan:
        if self._data is None:
            self._console.say("simulated machines (no recordings given with --data)")
            pace = HURRIED if self._headless else WATCHABLE
            plan = plan_simulation(
                self._work / "sites", windows_per_second=pace, seed=self._seed, endless=not self._headless
            )
        else:
            plan = plan_recordings(self._data, speed=HURRIED * 10.0)
        for rejected in plan.rejected:
            self._console.warn(str(rejected))
        self._console.say(f"held back until after the promote: {', '.join(p.machine for p in plan.held_back)}")
        self._report["simulated"] = plan.simulated
        self._report["machines"] = {
            "training": [p.machine for p in plan.training],
            "held_back": [p.machine for p in plan.held_back],
            "rejected": [str(r) for r in plan.rejected],
        }
        return plan

    def _start_agents(self, players: tuple[Player, ...], *extra: str) -> None:
        self._started = (*self._started, *players)
        for player in players:
            device = player.machine
            self._processes.start(
                f"edge-{device}",
                "edge",
                *player.arguments,
                *("--to", self._gateway, "--device", device, "--store", str(self._work / "edge" / device)),
                *("--enterprise", self._cloud.config.enterprise, "--trust", str(self._cloud.trust_root)),
                *("--ledger", str(self._ledger(device)), "--stay", *extra),
            )

    def _ledger(self, device: str) -> Path:
        folder = self._work / "ledgers"
        folder.mkdir(exist_ok=True)
        return folder / f"{device}.txt"

    def _kill_gateway(self) -> None:
        """SIGKILL while records flow, then start again on the same ports."""
        devices = {p.machine for p in self._plan.training}
        before = self._fleet.stored(devices)
        wait_until(
            "records to flow",
            lambda: self._fleet.stored(devices) > before,
            deadline_s=60,
            alive=self._processes.check,
            every_s=0.02,
        )
        self._cloud_process.signal(signal.SIGKILL)
        self._cloud_process.reap(5)
        at = self._fleet.stored(devices)
        page = self._page_address.removeprefix("http://")
        self._start_cloud(self._gateway, page)
        kept = sum(tally(self._ledger(d)).records for d in devices) - at
        self._console.say(f"gateway killed (SIGKILL) with {at} records stored and {kept} on the way; started again")
        self._report["gateway_killed"] = {"stored": at, "on_the_way": kept}

    def _wait_until_stored(self, players: tuple[Player, ...]) -> None:
        """Wait until every source has ended and everything its agent kept is committed in the cloud."""
        books = {p.machine: self._ledger(p.machine) for p in players}
        said = 0.0

        def stored() -> bool:
            nonlocal said
            tallies = {m: tally(file) for m, file in books.items()}
            expected = sum(t.records for t in tallies.values())
            have = self._fleet.stored(books)
            if time.monotonic() - said > 5:
                said = time.monotonic()
                self._console.say(
                    f"{sum(t.windows for t in tallies.values())} windows, {have} of {expected} records stored"
                )
            return all(t.ended for t in tallies.values()) and have >= expected

        wait_until(
            "all records to be stored", stored, deadline_s=LEG_DEADLINE_S, alive=self._processes.check, every_s=0.5
        )

    def _reconcile(self) -> None:
        result = reconcile(self._cloud, {p.machine: self._ledger(p.machine) for p in self._started if not p.endless})
        self._console.say(
            f"{result.produced} records produced, {result.lost} lost, {result.duplicated} duplicated, "
            f"{result.quarantined} in quarantine"
        )
        self._report |= {
            "windows_sent": result.by_kind.get("health", 0),
            "windows_stored": result.windows_stored,
            "records": asdict(result),
            "lost": result.lost,
            "duplicated": result.duplicated,
        }

    def _import_labels(self) -> None:
        file = self._work / "labels.csv"
        spans = spans_ns(self._cloud)
        ends = {p.machine: spans[p.machine][1] for p in self._plan.training}
        file.write_text("machine,time,event\n" + "".join(f"{m},{t},failed\n" for m, t in ends.items()))
        command = ("label", "import", str(file), "--data", str(self._cloud_data))
        self._processes.start("label", *command).wait(60)
        self._console.say(f"forewarn label import {file.name}: {len(ends)} failures")

    def _train(self) -> dict[str, Any]:
        file, plot = self._work / "training.json", self._work / "training.png"
        arguments = (
            "--seed",
            str(self._seed),
            "--ray",
            self._ray,
            "--publish",
            "--json",
            str(file),
            "--plot",
            str(plot),
        )
        training = self._processes.start("train", "train", "--data", str(self._cloud_data), *arguments)
        for line in training.lines():
            self._console.say(line)
        training.wait(LEG_DEADLINE_S)
        trained: dict[str, Any] = json.loads(file.read_text())
        self._report["training"] = trained["evaluation"]
        self._report["parity"] = {"max_abs": trained["parity_max_abs"]}
        return trained

    def _promote(self, name: str) -> None:
        devices = {p.machine for p in self._started}
        alive = self._processes.check
        wait_until(
            "the held-back agents to connect", lambda: devices <= self._fleet.machines(), deadline_s=60, alive=alive
        )
        self._cloud.registry.promote(name)
        took = wait_until(
            f"all agents to run {name}",
            lambda: devices <= self._fleet.running(name),
            deadline_s=60,
            alive=alive,
            every_s=0.05,
        )
        file = self._work / f"{name}.fwb"
        file.write_bytes(self._cloud.registry.read(name))
        self._console.say(f"{len(devices)} agents run {name} {took:.1f} s after the promote; each verified it first")
        self._console.say(f"the file: {file}")
        self._report["bundle"] = {"path": str(file), "name": name, "verified": not self._fleet.refusals()}
        self._report["promote_to_running_s"] = round(took, 2)

    def _judge(self) -> None:
        judged = judge_held_back(self._cloud, self._fleet, self._plan, self._report["bundle"]["name"])
        self._report |= judged
        for line in describe(judged, [p.machine for p in self._plan.held_back]):
            self._console.say(line)

    def _stay(self, seconds: float | None) -> None:
        self._console.say(f"the loop is closed; look: {self._page_address}  (Ctrl-C ends it)")
        deadline = time.monotonic() + (seconds if seconds is not None else 30 * 24 * 3600.0)
        while time.monotonic() < deadline:
            self._processes.check()
            time.sleep(0.5)
