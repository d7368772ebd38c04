"""A model's way onto the device: signed metadata, a trial in a process of its own, two slots, one atomic switch.

`edge.updater.client` (gRPC) is not imported here: the trial's process needs none of it.
"""

from edge.updater.orders import Assigned, Command
from edge.updater.service import Updater
from edge.updater.slots import Slots

__all__ = ["Assigned", "Command", "Slots", "Updater"]
