"""`forewarn train` on the small fleet, with fits that take hours: `python -m tests.training.long_training DATA ...`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

import cloud.wiring
import training.config
from forewarn.cli import main
from tests.training.fleet import SMALL
from tests.training.test_bundle import fleet_cloud

if __name__ == "__main__":
    opened = fleet_cloud(Path(sys.argv[1]))
    cloud.wiring.open_cloud = lambda data: opened
    training.config.TrainingConfig = lambda: msgspec.structs.replace(SMALL, steps=10**9)  # type: ignore[misc,assignment]
    main(["train", "--data", sys.argv[1], *sys.argv[2:]])
