"""A person's data in a stack: where a name stands, what it says, and its removal."""
