"""Learning from good pictures alone: the memory of an anomaly model, its calibration and its export.

`run` is the job, `data` divides good from bad pictures, `features` looks at them, `memory` and `coreset` choose what is
remembered, `leave_one_out` measures what is usual, `calibration` derives thresholds from it, `export` writes the model.
"""
