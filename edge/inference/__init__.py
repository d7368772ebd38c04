"""What a model says of a machine: history becomes a condition, and that a degradation and a remaining life."""

from edge.inference.judge import Judge
from edge.inference.loaded import Answer, LoadedBundle

__all__ = ["Answer", "Judge", "LoadedBundle"]
