"""Measuring a model on a data set: metrics, operating points, confidence intervals, comparison, reports.

`runner` evaluates one artefact, `comparison` several. Both build on `detection` (run the model), `metrics` and
`operating_points` (compute the figures), `bootstrap` (their confidence intervals) and `outcomes` (what happened to each
object and each detection). `result` joins the figures, `reports` shows them to people.
"""
