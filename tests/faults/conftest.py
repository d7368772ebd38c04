from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.edge.agent_process import AgentProcess
from tests.edge.delivery_fixtures import gateway, make_device
from tests.edge.gateway_simulator import GatewaySimulator

__all__ = ["gateway", "make_agent", "make_device"]


@pytest.fixture
def make_agent(tmp_path: Path, gateway: GatewaySimulator) -> Iterator[Callable[..., AgentProcess]]:
    made: list[AgentProcess] = []

    def make(**options: object) -> AgentProcess:
        made.append(AgentProcess(tmp_path, gateway, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for agent in made:
        agent.kill()
