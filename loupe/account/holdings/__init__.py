"""What a stack has in the account, by service: how it is found, and how it is deleted."""
