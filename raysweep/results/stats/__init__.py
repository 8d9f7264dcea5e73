"""The statistics of results: numbers in, numbers out, no files."""
