"""How good an anomaly model is: whole images (`scores`), places (`regions`), and both in one result (`result`)."""
