"""The report's figures: what `raysweep.results.figures` prepares, as Plotly takes it."""
