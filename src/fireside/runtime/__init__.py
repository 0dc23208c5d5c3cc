"""The machinery every node shares: mesh, middleware, database contexts, outbox, jobs, telemetry."""
