"""Learning from pictures on this machine, and serving what was learned: `loupe learn`."""
