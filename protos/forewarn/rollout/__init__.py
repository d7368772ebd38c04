"""Bundles on their way to the devices."""
