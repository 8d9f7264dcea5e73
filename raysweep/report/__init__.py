"""A sweep's report: one HTML file with its tables, figures, statistics and origin."""
