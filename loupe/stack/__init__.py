"""Everything that talks to AWS: the deployed stack, or the local cloud in its place."""
