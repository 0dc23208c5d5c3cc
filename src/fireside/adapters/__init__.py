"""One folder a port, one module a technology: the only home of drivers and SDKs."""
