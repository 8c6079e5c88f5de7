"""What is wrong with a stack or with this machine, and the command that mends it."""
