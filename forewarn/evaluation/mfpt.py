"""MFPT, faults of two races at ten loads: one line for each window of each record (see `rigs`)."""

from forewarn.evaluation.rig_score import describe, score
from forewarn.evaluation.rigs import evaluate

__all__ = ["describe", "evaluate", "score"]
