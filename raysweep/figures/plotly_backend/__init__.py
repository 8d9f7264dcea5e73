"""The report's figures: what `raysweep.figures` prepares, as Plotly takes it."""
