"""What the README's figures come from: both sides of each comparison in one run, kept as JSON."""

from pathlib import Path

RESULTS = Path(__file__).parent / "results"
