"""Every query of the documents service, one module a kind of row. Callers bring the session of their transaction."""
