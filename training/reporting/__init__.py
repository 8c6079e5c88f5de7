"""What evaluation and comparison say beyond the mean average precision: how sure, at which score, at what cost."""
