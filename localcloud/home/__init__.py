"""The private folder of a local cloud, and how other processes reach the cloud that runs on it."""
