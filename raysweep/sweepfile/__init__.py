"""The sweep file: reading, checking, and the sweep it describes."""
