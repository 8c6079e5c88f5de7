"""How good a model is: metrics, operating points, intervals, reports."""
