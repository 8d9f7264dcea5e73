"""Interactive figures of the report: prepared figures as data and layouts of Plotly."""
