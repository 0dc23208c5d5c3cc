"""The only wiring: settings, the adapter for each URL scheme, the factory of each service, the node, the server."""
