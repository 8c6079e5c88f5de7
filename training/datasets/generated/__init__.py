"""Generated steel surfaces with known defects, drawn from a seed."""
