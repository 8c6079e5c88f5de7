"""What people decide: the review queue, their decisions, the labels that come of them, the rates, and who did what."""
