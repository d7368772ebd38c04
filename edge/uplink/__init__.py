"""From the outbox to the cloud: one stream, alerts beside it, and the rules for whose word counts after a restore."""

from edge.uplink.link import Link
from edge.uplink.recall import Recall
from edge.uplink.session import Deadlines, Identity
from edge.uplink.uplink import Uplink

__all__ = ["Deadlines", "Identity", "Link", "Recall", "Uplink"]
