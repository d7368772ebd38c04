"""Alarms on their way to the crew, by a call of their own."""
