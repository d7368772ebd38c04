"""HIT-SM, faults of two races at three speeds: one line for each window of each record (see `rigs`)."""

from forewarn.evaluation.rig_score import describe, score
from forewarn.evaluation.rigs import evaluate

__all__ = ["describe", "evaluate", "score"]
