"""Remaining life of machines whose slow channels were followed to many failures."""
