"""Simulates queues, so that a run of the chain can be predicted from the times of its parts."""
