"""The catalogue's schema, step by step, so that a newer version opens what an older one wrote.

Make a step after changing `tables.py` with `python -m cloud.catalogue.migrations.new 0004 "what changes"`, read what it
wrote, and set `HEAD`. A test compares tables and steps on every database.
"""

HEAD = "0003"  # the newest step; kept here so that opening a catalogue that is up to date imports no Alembic
