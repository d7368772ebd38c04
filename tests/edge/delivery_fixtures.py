"""Fixtures of a device's delivery beside a gateway that can be told to misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.edge.device_simulator import DeviceSimulator
from tests.edge.gateway_simulator import GatewaySimulator


@pytest.fixture
def gateway() -> Iterator[GatewaySimulator]:
    simulator = GatewaySimulator()
    simulator.start()
    yield simulator
    simulator.close()


@pytest.fixture
def make_device(tmp_path: Path, gateway: GatewaySimulator) -> Iterator[Callable[..., DeviceSimulator]]:
    made: list[DeviceSimulator] = []

    def make(store: str = "store", *, addresses: list[str] | None = None, **options: object) -> DeviceSimulator:
        made.append(DeviceSimulator(tmp_path / store, addresses or [gateway.address], **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for device in made:
        device.disconnect()
