"""The scores of a class that no rule names, as template.yaml's first rules have them."""

FAIL_SCORE = 0.5
REVIEW_SCORE = 0.3
