"""Tables, statistics, status and other results, as text or data in several formats."""
