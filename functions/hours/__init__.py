"""The endpoint's hours: it rests between the shifts, and serves again before the next one."""
