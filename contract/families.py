"""The kinds of model families: what a detector finds was labelled, and what an anomaly model finds never was."""

# All other families are detectors. Anomaly models learn from good images alone, without a GPU.
ANOMALY_FAMILIES = ("patchcore_efficientnet_lite0",)
