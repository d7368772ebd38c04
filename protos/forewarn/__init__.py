"""The packages of the wire, by area and version."""
