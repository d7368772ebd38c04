"""A search for better settings, here or on a cluster, and what it found."""
