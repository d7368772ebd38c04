"""The flight recorder: the raw windows of the last days on the device's disk, and longer those around each alarm."""

from edge.recorder.config import FlightConfig
from edge.recorder.export import Export, Kept, export, overview
from edge.recorder.recorder import FlightRecorder
from edge.recorder.snapshots import Snapshots

__all__ = ["Export", "FlightConfig", "FlightRecorder", "Kept", "Snapshots", "export", "overview"]
