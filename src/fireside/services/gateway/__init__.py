"""The edge: the only place that outside requests enter. Authenticates, limits, renders errors, serves the page."""
