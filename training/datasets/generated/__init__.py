"""Draws steel surfaces with known defects from a seed."""
