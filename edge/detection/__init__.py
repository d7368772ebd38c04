"""When a window becomes an alarm: the machine against its own healthy start, and a model's word beside it."""

from edge.detection.config import DetectionConfig
from edge.detection.detector import Detector

__all__ = ["DetectionConfig", "Detector"]
