"""Training and processing jobs: their queue, their programs, their logs and records."""
