"""What a window says, in numbers, by numpy alone: the only place where a waveform becomes features.

What every window has is computed in float32; what a long measurement has now and then, in float64.
"""

from edge.features.amplitude import spectrum
from edge.features.config import FeaturesConfig
from edge.features.extractor import Extractor

__all__ = ["Extractor", "FeaturesConfig", "spectrum"]
