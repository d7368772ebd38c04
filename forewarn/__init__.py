"""Forewarn listens to rotating machines, warns the crew before something breaks, and learns from what it finds."""

__version__ = "0.1.0"
