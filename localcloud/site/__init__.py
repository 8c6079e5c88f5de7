"""The laptop's stand-in for CloudFront: one origin for the dashboard's page, its API and its pictures."""
