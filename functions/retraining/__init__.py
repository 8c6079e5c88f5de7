"""The pipeline that keeps the model learning: plan, gate, approval, smoke test, report."""
