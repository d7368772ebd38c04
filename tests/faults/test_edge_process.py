"""The agent's process: killed, stopped, started twice, started on a store that cannot be used."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edge.agent_process import AgentProcess
from tests.edge.gateway_simulator import GatewaySimulator

Make = Callable[..., AgentProcess]


@pytest.mark.parametrize("seed", [1, 2])
def test_after_kills_at_random_points_the_set_stored_is_the_set_produced(
    make_agent: Make, gateway: GatewaySimulator, seed: int
) -> None:
    """Row 1. Also: no window is lost or taken twice, because the recording's place is kept with its records."""
    rng = random.Random(seed)
    windows = 1200
    agent = make_agent(windows=windows)
    for _ in range(3):
        before = len(gateway.stored)
        agent.start()
        some = before + rng.randrange(1, 500)
        gateway.wait_until(lambda some=some: len(gateway.stored) >= some or not agent.running)
        time.sleep(rng.random() * 0.2)  # not to wait for anything: the kill shall hit any point
        agent.kill()
    agent.start()
    assert agent.wait() == 0, agent.said()
    assert gateway.stored == agent.numbers_used()
    assert agent.ledger_numbers() <= gateway.stored
    assert gateway.stored_twice == 0
    (shelf,) = gateway.shelves.values()
    assert Counter(shelf.kinds.values())["RECORD_KIND_HEALTH"] == windows


def test_a_signal_to_stop_ends_it_in_time_with_what_was_produced_delivered(
    make_agent: Make, gateway: GatewaySimulator
) -> None:
    agent = make_agent(windows=100_000, speed=600.0)
    agent.start()
    gateway.wait_until(lambda: len(gateway.stored) > 100)
    agent.send(signal.SIGTERM)
    assert agent.wait(within_s=15) == 0, agent.said()
    assert gateway.stored == agent.numbers_used() == agent.ledger_numbers()
    assert not agent.ledger.read_text().endswith("end\n")


def test_stopping_without_a_gateway_keeps_everything_and_ends_within_the_deadline(
    make_agent: Make, gateway: GatewaySimulator
) -> None:
    agent = make_agent(windows=100_000, speed=600.0, tail="stop_seconds = 1.0")
    agent.start()
    gateway.wait_until(lambda: len(gateway.stored) > 20)
    gateway.stop()
    kept = agent.ledger_numbers()
    gateway.wait_until(lambda: len(agent.ledger_numbers()) > len(kept))
    agent.send(signal.SIGINT)
    begin = time.monotonic()
    assert agent.wait(within_s=10) == 0, agent.said()
    assert time.monotonic() - begin < 5
    assert "stopped before all was delivered" in agent.said()
    assert gateway.stored < agent.numbers_used()


def test_staying_after_the_last_window_ends_with_the_signal(make_agent: Make, gateway: GatewaySimulator) -> None:
    agent = make_agent(windows=50)
    agent.start("--stay")
    gateway.wait_until(lambda: agent.ledger.exists() and agent.ledger.read_text().endswith("end\n"))
    gateway.wait_until(lambda: gateway.stored == agent.ledger_numbers())
    assert agent.running
    agent.send(signal.SIGTERM)
    assert agent.wait(within_s=10) == 0, agent.said()


def test_the_second_agent_on_a_store_exits_and_names_the_holder(make_agent: Make, gateway: GatewaySimulator) -> None:
    """Row 8."""
    first = make_agent(windows=100_000, speed=100.0)
    first.start()
    gateway.wait_until(lambda: len(gateway.hellos) == 1)
    second = make_agent(windows=100_000, speed=100.0)
    second.log = second.folder / "second.txt"
    second.start()
    assert second.wait() == 2
    assert "another agent uses this store: process" in second.said()
    assert str(second.store) in second.said()
    assert first.running


@pytest.mark.parametrize("fault", ["missing", "a file"])
def test_a_store_that_cannot_be_used_is_refused_by_name(make_agent: Make, fault: str) -> None:
    """Row 6."""
    agent = make_agent(windows=10)
    agent.store.rmdir()
    if fault == "a file":
        agent.store.write_text("")
    agent.start()
    assert agent.wait() == 2
    assert str(agent.store) in agent.said()


def test_a_damaged_store_is_kept_aside_and_the_agent_goes_on_in_a_new_epoch(
    make_agent: Make, gateway: GatewaySimulator
) -> None:
    """Row 5."""
    agent = make_agent(windows=50)
    agent.start()
    assert agent.wait() == 0
    first = gateway.stored
    file = agent.store / "outbox.sqlite"
    file.write_bytes(file.read_bytes()[:5000])
    agent.start()
    assert agent.wait() == 0, agent.said()
    assert "outbox damaged, starting a new epoch" in agent.said()
    assert [p for p in agent.store.iterdir() if ".damaged-" in p.name]
    assert gateway.stored - first == agent.numbers_used()
    assert {e for e, _ in first}.isdisjoint({e for e, _ in agent.numbers_used()})


def test_a_key_that_is_not_known_is_refused_with_its_path(make_agent: Make) -> None:
    agent = make_agent(windows=10, tail="sitte = 'typo'")
    agent.start()
    assert agent.wait() == 2
    assert f"{agent.config}: Object contains unknown field `sitte`" in agent.said()


def test_the_agent_imports_nothing_that_a_device_must_not_carry(tmp_path: Path, make_agent: Make) -> None:
    """And its memory stays small."""
    psutil = pytest.importorskip("psutil")
    agent = make_agent(windows=100_000, speed=1200.0)
    agent.start()
    assert agent._process is not None
    process = psutil.Process(agent._process.pid)
    deadline = time.monotonic() + 20
    while len(agent.ledger_numbers()) < 300 and time.monotonic() < deadline:
        time.sleep(0.05)
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert not [
        name for name in ("/torch/", "/ray/", "/scipy/", "/pandas/", "/pyarrow/", "/cryptography/") if name in maps
    ]
    assert process.memory_info().rss < 100e6
