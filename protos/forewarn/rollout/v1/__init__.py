"""Version 1 of the wire; a change that old devices would misread is a new version."""
