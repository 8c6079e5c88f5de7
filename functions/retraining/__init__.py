"""The retraining pipeline: plan, gate, approval, smoke test and report of a run."""
