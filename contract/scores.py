"""The default scores of the rules, for a class that no rule names. template.yaml's first rules use the same."""

FAIL_SCORE = 0.5
REVIEW_SCORE = 0.3
# The label of everything that an anomaly model finds: it knows good products only, and names no defects.
ANOMALY = "anomaly"
