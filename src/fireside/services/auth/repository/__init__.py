"""Every query of the auth service, one module a kind of row. Callers bring the session of their transaction."""
