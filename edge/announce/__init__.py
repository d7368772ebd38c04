"""Telling people of an alarm from the device itself: a relay's program, a webhook. No cloud is asked."""

from edge.announce.announcer import Announcer, read_secret
from edge.announce.config import AnnounceConfig

__all__ = ["AnnounceConfig", "Announcer", "read_secret"]
