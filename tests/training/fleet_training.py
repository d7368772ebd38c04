"""`forewarn train` on the small fleet instead of a lake: `python -m tests.training.fleet_training DATA OPTION...`."""

from __future__ import annotations

import sys
from pathlib import Path

import cloud.wiring
from forewarn.cli import main
from tests.training.test_bundle import fleet_cloud

if __name__ == "__main__":
    opened = fleet_cloud(Path(sys.argv[1]))
    cloud.wiring.open_cloud = lambda data: opened
    main(["train", "--data", *sys.argv[1:]])
