"""Loupe: visual inspection for the production line, on AWS or whole on one laptop."""
