"""The SQL catalogue: what exists, and the place of every commit point."""
