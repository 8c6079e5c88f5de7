"""How many images a second a stack takes: AWS's quotas, its own settings and its tables' keys, and what lifts each."""
