"""What a window says, in numbers: pure numpy float32, the only place where a waveform becomes features."""

from edge.features.amplitude import spectrum
from edge.features.extractor import Extractor

__all__ = ["Extractor", "spectrum"]
