"""Departures from a healthy start: machines with no failure on record, classes whose faults people have marked."""
