"""Finds what keeps a device from doing its work: facts are gathered in one file, judged by pure rules in another."""

from edge.doctor.rules import RULES, examine
from edge.doctor.types import Facts, Finding, Level

__all__ = ["RULES", "Facts", "Finding", "Level", "examine"]
