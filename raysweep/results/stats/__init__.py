"""Statistics of results: functions of numbers that read no files."""
