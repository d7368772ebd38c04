"""What stands beside the machine: the device's own small page, with the state and the last days, without the cloud.

`edge.board.server` is not imported here: a device without a page does not pay for a server.
"""

from edge.board.board import Board, MachineBoard
from edge.board.config import PageConfig

__all__ = ["Board", "MachineBoard", "PageConfig"]
