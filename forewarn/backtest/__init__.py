"""What would have happened over a span of the lake: the alarms of other rules or another model, and what they cost."""
