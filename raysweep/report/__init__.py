"""The report of a sweep: one HTML file with tables, figures, statistics and provenance."""
