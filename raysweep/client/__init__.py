"""Client of the service: submits sweeps to a server, and reads their results from it."""
